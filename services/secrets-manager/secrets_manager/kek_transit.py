"""The key-encryption key in the transit engine of an OpenBao server: it never leaves there."""

import base64
import ssl
from pathlib import Path
from typing import Any, Final

import httpx2

from secrets_manager.kek import KeyRefusedError

_TIMEOUT_SECONDS: Final = 5.0


class TransitKey:
    """A named key of OpenBao's transit engine, used over its HTTP API.

    Args:
        address: of the server, as `https://openbao:8200`.
        name: of the key; the token must be allowed to create, read, rotate and configure it, and to encrypt
            and decrypt with it.
        token_file: where the token is; read for each request, so that it can be renewed.
        ca_file: verifies the server; None for the system's authorities.
    """

    def __init__(self, address: str, name: str, token_file: Path, ca_file: Path | None = None) -> None:
        self._address, self._name, self._token_file = address.rstrip("/"), name, token_file
        self._ca_file = ca_file

    def exists(self) -> bool:
        """Whether the engine has the key; KeyRefusedError if it does not say so, sealed for example."""
        answer = self._send("GET", f"keys/{self._name}")
        if answer.status_code == httpx2.codes.NOT_FOUND:
            return False
        self._data(answer)
        return True

    def create(self) -> None:
        """Make the key; one that is there stays."""
        self._post(f"keys/{self._name}", type="aes256-gcm96")

    def wrap(self, plaintext: bytes) -> bytes:
        """Have the newest version of the key encrypt."""
        data = self._post(f"encrypt/{self._name}", plaintext=base64.b64encode(plaintext).decode())
        return str(data["ciphertext"]).encode()

    def unwrap(self, wrapped: bytes) -> bytes:
        """Have the version that encrypted decrypt."""
        body = {"ciphertext": wrapped.decode(errors="replace")}
        answer = self._send("POST", f"decrypt/{self._name}", body)
        # The engine answers the same to a key that it does not have as to one that does not fit.
        if answer.status_code == httpx2.codes.BAD_REQUEST and self._is_missing():
            raise KeyRefusedError(
                f"OpenBao at {self._address} has no transit key {self._name!r}, and without it the key ring "
                "of this database cannot be opened. Let FOUNTAIN_OPENBAO_KEY_NAME name the right one, put "
                "the key back, or restore a backup onto an empty data directory. Nothing was written."
            )
        return base64.b64decode(self._data(answer)["plaintext"])

    def _is_missing(self) -> bool:
        return self._send("GET", f"keys/{self._name}").status_code == httpx2.codes.NOT_FOUND

    def add_key(self) -> None:
        """Make a new version of the key."""
        self._post(f"keys/{self._name}/rotate")

    def drop_old_keys(self) -> None:
        """Let the engine decrypt with the newest version alone."""
        answer = self._send("GET", f"keys/{self._name}")
        newest = self._data(answer)["latest_version"]
        self._post(f"keys/{self._name}/config", min_decryption_version=newest)

    def _post(self, path: str, **body: Any) -> dict[str, Any]:
        return self._data(self._send("POST", path, body))

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx2.Response:
        try:
            token = self._token_file.read_text().strip()
        except OSError as failure:
            raise KeyRefusedError(
                f"The token for OpenBao, {self._token_file}, cannot be read ({type(failure).__name__}). "
                "Put it there. Nothing was written."
            ) from failure
        verify = self._trusted()
        # A proxy of the environment may carry what is encrypted; without that, nothing leaves the machine.
        encrypted = self._address.lower().startswith("https:")
        try:
            with httpx2.Client(verify=verify, timeout=_TIMEOUT_SECONDS, trust_env=encrypted) as client:
                url = f"{self._address}/v1/transit/{path}"
                return client.request(method, url, json=body, headers={"X-Vault-Token": token})
        except (httpx2.HTTPError, OSError) as failure:
            if "CERTIFICATE_VERIFY_FAILED" in str(failure):
                voucher = self._ca_file or "any authority of the system"
                raise KeyRefusedError(
                    f"The certificate of OpenBao at {self._address} is not vouched for by {voucher}, or is "
                    "for another name, and nothing was sent to it. Let FOUNTAIN_OPENBAO_CA_FILE name its "
                    "authority's certificate, or mend the address. Nothing was written."
                ) from failure
            raise KeyRefusedError(
                f"OpenBao at {self._address} cannot be reached ({type(failure).__name__}), and the key ring "
                "cannot be opened without it. Start it, or mend the address. Nothing was written."
            ) from failure

    def _trusted(self) -> ssl.SSLContext | bool:
        if self._ca_file is None:
            return True
        try:
            return ssl.create_default_context(cafile=self._ca_file)
        except OSError as failure:
            raise KeyRefusedError(
                f"The certificate that verifies OpenBao, {self._ca_file}, cannot be read "
                f"({type(failure).__name__}). Put a certificate in PEM there. Nothing was written."
            ) from failure

    def _data(self, answer: httpx2.Response) -> dict[str, Any]:
        if answer.is_success:
            document = answer.json() if answer.content else {}
            return dict(document.get("data") or {})
        raise KeyRefusedError(
            f"OpenBao refused to work with the transit key {self._name!r} (status {answer.status_code}). "
            "Check that it is unsealed, that the engine is mounted at transit/, that the token may use the "
            "key, and that this is the key that the database was made with. Nothing was written."
        )
