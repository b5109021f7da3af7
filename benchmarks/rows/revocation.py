"""How soon somebody who is revoked is refused by every instance of every service."""

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx2
from fountain_cli.stack.layout import repository, services

from benchmarks.measure import Budget, Result, absolute, quantile
from benchmarks.processes import Broken, NotRun
from benchmarks.rows import Row, Run

_REVOKED = Budget("revoked to refused everywhere, p99", "ms", floor=1000, aim=250, higher=False)
_PEOPLE = 20
_LIMIT_SECONDS = 15.0


class _Instances:
    """Every instance of every service, asked past the edge."""

    def __init__(self, run: Run, closing: ExitStack) -> None:
        self._run = run
        self.services = [service.name for service in services(repository())]
        self._clients = [
            (name, closing.enter_context(httpx2.Client(base_url=url, verify=False, trust_env=False)))
            for name in self.services
            for url in (run.stack.address(name, replica) for replica in range(run.stack.replicas(name)))
        ]  # loopback alone, so that no certificate needs to be known

    def __len__(self) -> int:
        return len(self._clients)

    def refused_after(self) -> float:
        """Revoke somebody whom each instance lets in; return how long it takes in ms until none does."""
        name = f"bench-{secrets.token_hex(4)}"
        manage = self._run.api.call
        identity = {"name": name, "kind": "person", "roles": ["viewer"], "remote": True}
        manage("secrets-manager", "POST", "/identities", json=identity)
        key = str(manage("secrets-manager", "POST", f"/identities/{name}/keys", json={})["api_key"])
        tokens = {service: self._token(key, service) for service in self.services}
        letting_in = [one for one in self._clients if self._lets_in(one, tokens)]
        if len(letting_in) < len(self):
            raise NotRun("an instance refuses who has done nothing")
        started = time.perf_counter()
        manage("secrets-manager", "DELETE", f"/identities/{name}")
        while letting_in:
            letting_in = [one for one in letting_in if self._lets_in(one, tokens)]
            if time.perf_counter() - started > _LIMIT_SECONDS:
                raise Broken(f"{letting_in[0][0]} lets in who was revoked {_LIMIT_SECONDS:g} s ago")
        return (time.perf_counter() - started) * 1000

    def _token(self, key: str, service: str) -> str:
        form = {"grant_type": "client_credentials", "client_secret": key, "resource": service}
        answer = self._run.api.client("secrets-manager").post("/auth/token", data=form)
        return str(answer.raise_for_status().json()["access_token"])

    def _lets_in(self, instance: tuple[str, httpx2.Client], tokens: dict[str, str]) -> bool:
        service, client = instance
        # For services alone: whoever is let in is told so by a 403.
        headers = {"Authorization": f"Bearer {tokens[service]}"}
        return client.post("/notifications", json={"type": "bench.said"}, headers=headers).status_code != 401


def _revoked(run: Run) -> Iterator[Result]:
    with ExitStack() as closing:
        instances = _Instances(run, closing)
        yield absolute(
            _REVOKED,
            lambda: quantile([instances.refused_after() for _ in range(_PEOPLE)], 0.99),
            rounds=min(run.rounds, 3),
            note=f"{_PEOPLE} people a round, {len(instances)} instances, by event",
        )


ROWS = (Row("revocation", "", (_REVOKED,), _revoked),)
