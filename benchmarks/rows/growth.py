"""What becomes of reads, publishing and lookups on a platform that has grown.

The large platform has 100,000 secrets, 1,000,000 events and 10,000 instances. A small one runs beside it, and
both are loaded in turn. What is read is drawn at random among all secrets. A value of 1.2 says that the small
one does 1.2 times as many requests in a second.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from fountain_cli.api import Api
from fountain_cli.stack import LocalStack
from fountain_cli.stack.layout import repository, services
from fountain_cli.stack.ports import Ports

from benchmarks.measure import Budget, Result, growth
from benchmarks.processes import Broken, NotRun
from benchmarks.rows import Row, Run
from benchmarks.wrk import load

SECRETS, EVENTS, INSTANCES = 100_000, 1_000_000, 10_000
_FEW = 10
_READ_BEFORE = 1.5 * SECRETS
_IDENTITIES = 50
_CALLERS = 64
_AT_ONCE = 2_000
_READS = Budget(f"reads, 10 to {SECRETS:,} secrets", "x the time", floor=1.5, aim=1.1, higher=False)
_PUBLISH = Budget(f"publish, 0 to {EVENTS:,} events", "x the time", floor=1.5, aim=1.1, higher=False)
_LOOKUP = Budget(f"lookup, 10 to {INSTANCES:,} instances", "x the time", floor=1.5, aim=1.1, higher=False)
_BODY = json.dumps({"type": "bench.made", "subject": "bench", "data": {"text": "x" * 120}})


class Platforms:
    """A small platform and a large one."""

    def __init__(self, run: Run) -> None:
        self.small, self.large = _started(run, "small"), _started(run, "large")
        for stack, secret_count, event_count in ((self.small, _FEW, 0), (self.large, SECRETS, EVENTS)):
            stack.stop()
            _fill(stack, secret_count, event_count)
            stack.start()
        self.apis = {
            id(stack): run.closing.enter_context(Api(stack.admin_key(), stack.client))
            for stack in (self.small, self.large)
        }

    def bearer(self, stack: LocalStack) -> dict[str, str]:
        """The header of an administrator's token."""
        return {"Authorization": f"Bearer {self.apis[id(stack)].token(None)}"}


def _started(run: Run, name: str) -> LocalStack:
    stack = LocalStack(run.peer_folder(name), Ports.free(services(repository())))
    run.closing.callback(stack.stop)
    stack.start()
    return stack


def _fill(stack: LocalStack, secret_count: int, event_count: int) -> None:
    subjects = Path(__file__).parents[1] / "subjects"
    errand = stack.errand()
    _child([str(subjects / "fill_secrets.py"), str(secret_count)], errand.directory, dict(errand.environment))
    path = f"{stack.root / 'shared'}:{stack.root / 'services' / 'notification'}"
    database = stack.state.folder / "data" / "notification" / "notification.db"
    _child(
        [str(subjects / "fill_events.py"), str(database), str(event_count)],
        stack.root,
        {**os.environ, "PYTHONPATH": path},
    )


def _child(arguments: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NotRun(f"{Path(arguments[0]).name} failed: {done.stderr.strip()[-300:]}")


def _measure(run: Run) -> Iterator[Result]:
    platforms = Platforms(run)

    def reads(stack: LocalStack) -> float:
        return load(
            stack.address("secrets-manager"),
            seconds=run.seconds,
            headers=platforms.bearer(stack),
            path="/secrets/grown-@R@",
            among=_FEW if stack is platforms.small else SECRETS,
        ).rate

    def publishes(stack: LocalStack) -> float:
        headers = {**platforms.bearer(stack), "Content-Type": "application/json"}
        url = f"{stack.address('notification')}/notifications"
        return load(url, connections=32, seconds=run.seconds, headers=headers, method="POST", body=_BODY).rate

    def lookups(stack: LocalStack) -> float:
        if stack is platforms.large:
            crowd.renew()
        url = f"{stack.address('gateway-lookup')}/lookup/example-consumer"
        rate = load(url, seconds=run.seconds, headers=platforms.bearer(stack)).rate
        if stack is platforms.large:
            crowd.require_all()
        return rate

    _warm(lambda: reads(platforms.large) * run.seconds)
    for budget, rate in ((_READS, reads), (_PUBLISH, publishes)):
        yield growth(
            budget,
            lambda rate=rate: rate(platforms.small),  # type: ignore[misc]
            lambda rate=rate: rate(platforms.large),  # type: ignore[misc]
            rounds=run.rounds,
        )
    crowd = Crowd(platforms.large, platforms.apis[id(platforms.large)])
    yield growth(
        _LOOKUP,
        lambda: lookups(platforms.small),
        lambda: lookups(platforms.large),
        rounds=min(run.rounds, 3),
    )


def _warm(read: Callable[[], float]) -> None:
    """Read until most secrets were read once, as on a platform that has run for a while: in memory is
    what there is room for.
    """
    done = 0.0
    while done < _READ_BEFORE:
        done += read()


class Crowd:
    """Instances of many services, with nobody behind them: registered by their identities, renewed here."""

    def __init__(self, stack: LocalStack, api: Api) -> None:
        self._url = stack.address("gateway-lookup")
        self._tokens: dict[str, str] = {}
        issuer = stack.address("secrets-manager")
        self._instances = [
            (f"crowd-{number % _IDENTITIES}", secrets.token_hex(16), 40_000 + number)
            for number in range(INSTANCES)
        ]
        self._leases: dict[str, str] = {}
        for number in range(_IDENTITIES):
            name = f"crowd-{number}"
            identity = {"name": name, "kind": "service", "roles": ["service"]}
            api.call("secrets-manager", "POST", "/identities", json=identity)
            key = api.call("secrets-manager", "POST", f"/identities/{name}/keys", json={})["api_key"]
            self._tokens[name] = _token(issuer, name, key)

    def require_all(self) -> None:
        """Raise `Broken` unless every instance is there to be looked up."""
        with httpx2.Client(base_url=self._url, trust_env=False) as client:
            found = 0
            for name, token in self._tokens.items():
                answer = client.get(f"/lookup/{name}", headers={"Authorization": f"Bearer {token}"})
                found += len(answer.json().get("instances", ()))
        if found < INSTANCES:
            raise Broken(f"{found} of {INSTANCES} instances had a lease at the end of a round")

    def renew(self) -> None:
        """Renew all leases, and before that register those that have none.

        To register takes several times as long as to renew, and longer for all than a lease lasts: the leases
        that are there are renewed in between.
        """
        held = [one for one in self._instances if one[1] in self._leases]
        fresh = [one for one in self._instances if one[1] not in self._leases]
        for start in range(0, len(fresh), _AT_ONCE):
            self._put(held)
            self._put(fresh[start : start + _AT_ONCE])
            held += fresh[start : start + _AT_ONCE]
        self._put(held)

    def _put(self, instances: list[tuple[str, str, int]]) -> None:
        with ThreadPoolExecutor(_CALLERS) as threads:
            list(threads.map(self._renew, (instances[start::_CALLERS] for start in range(_CALLERS))))

    def _renew(self, instances: list[tuple[str, str, int]]) -> None:
        # The standard library's client costs a quarter of what others do, and a lease lasts 30 seconds.
        where = urlsplit(self._url)
        with closing(HTTPConnection(where.hostname or "", where.port, timeout=30)) as connection:
            for name, instance, port in instances:
                headers = {
                    "Authorization": f"Bearer {self._tokens[name]}",
                    "Content-Type": "application/json",
                }
                if instance in self._leases:
                    headers["X-Fountain-Lease"] = self._leases[instance]
                body = json.dumps({"port": port, "version": "1", "generation": 1, "hosts": []})
                connection.request("PUT", f"/registry/{name}/instances/{instance}", body, headers)
                answer = connection.getresponse()
                text = answer.read()
                if answer.status not in (200, 201):
                    raise NotRun(f"a registration was answered {answer.status}: {text[:200]!r}")
                self._leases.setdefault(instance, json.loads(text).get("lease_secret", ""))


def _token(issuer: str, name: str, key: str) -> str:
    with httpx2.Client(base_url=issuer, verify=False, trust_env=False) as client:  # loopback alone
        answer = client.post(
            "/auth/token",
            data={"grant_type": "client_credentials", "client_id": name, "client_secret": key},
        )
    if answer.status_code != 200:
        raise NotRun(f"a token was refused: {answer.text[:200]}")
    return str(answer.json()["access_token"])


ROWS = (Row("growth", "itself, small", (_READS, _PUBLISH, _LOOKUP), _measure),)
