"""Every instance of every service, each asked by itself, past the edge."""

import ssl
from typing import Any

import httpx2
from fountain_cli.stack import Stack
from fountain_cli.stack.layout import repository, services

SERVICES = [service.name for service in services(repository())]
_ISSUER = "secrets-manager"


class Instance:
    """One process or container; the edge would choose one for us, and always a healthy one.

    Args:
        stack: the platform, running.
        service, number: which.
    """

    def __init__(self, stack: Stack, service: str, number: int = 0) -> None:
        self.service, self._number = service, number
        verify = ssl.create_default_context(cadata=stack.issuer_ca()) if service == _ISSUER else True
        self.client = httpx2.Client(base_url=stack.address(service, number), verify=verify, timeout=10)

    def __repr__(self) -> str:
        return f"<{self.service} {self._number}>"

    def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Send one request."""
        extensions = {"sni_hostname": self.service}
        return self.client.request(method, path, extensions=extensions, **options)

    def honours(self, token: str) -> bool:
        """Tell whether it lets in who has this token, by asking what needs nothing else."""
        headers = {"Authorization": f"Bearer {token}"}
        answer = self.ask("POST", "/notifications", json={"type": "e2e.said"}, headers=headers)
        assert answer.status_code < 500, f"{self}: {answer.text}"
        return answer.status_code != 401


def instances(stack: Stack) -> list[Instance]:
    """Return all of them, open; whoever asks closes them."""
    return [
        Instance(stack, service, number) for service in SERVICES for number in range(stack.replicas(service))
    ]
