"""Reads and rotations at the Secrets Manager, against OpenBao with its file audit, TLS on both sides."""

from collections.abc import Iterator

from benchmarks.measure import Budget, Result, ratio
from benchmarks.peers.bare_fastapi import bare_fastapi
from benchmarks.peers.openbao import OpenBao, openbao
from benchmarks.rows import Row, Run
from benchmarks.wrk import load

_READ = Budget("read a secret, against OpenBao", "x OpenBao", floor=1.3, aim=3)
_READ_BARE = Budget("read a secret, against bare FastAPI", "x bare FastAPI", floor=0.3, aim=0.5)
_ROTATE = Budget("rotate without holders", "x OpenBao KV put", floor=2, aim=4)
_SECRETS = 64
_CONNECTIONS = 64
"""On both sides; as when a platform of some dozens of services starts anew."""


def _read(run: Run) -> Iterator[Result]:
    url = f"{run.stack.address('secrets-manager')}/secrets/example-consumer"
    headers = run.bearer()
    with (
        openbao(run.peer_folder("openbao")) as bao,
        bare_fastapi(run.peer_folder("bare")) as bare,
    ):
        theirs = f"{bao.url}/v1/secret/data/x"
        bao.call("POST", "/v1/secret/data/x", {"data": {"JWT_SECRET": "a" * 64, "DB_PASSWORD": "b" * 32}})

        def ours() -> float:
            return load(url, connections=_CONNECTIONS, seconds=run.seconds, headers=headers).rate

        yield ratio(
            _READ,
            ours,
            lambda: load(theirs, connections=_CONNECTIONS, seconds=run.seconds, headers=bao.headers).rate,
            peer="OpenBao",
            rounds=run.rounds,
        )
        bare_rate = lambda: load(bare, connections=_CONNECTIONS, seconds=run.seconds).rate  # noqa: E731 - named for what it is
        yield ratio(_READ_BARE, ours, bare_rate, peer="bare FastAPI", rounds=run.rounds)


def _rotate(run: Run) -> Iterator[Result]:
    for number in range(_SECRETS):
        name = f"bench-{number}"
        run.api.call("secrets-manager", "POST", f"/secrets/{name}", json={})
        policy = {"interval_seconds": 10**7, "overlap_seconds": 0, "deadline_seconds": 60}
        run.api.call("secrets-manager", "PUT", f"/secrets/{name}/rotation-policy", json=policy)
    url = run.stack.address("secrets-manager")
    headers = {**run.bearer(), "Content-Type": "application/json"}
    with openbao(run.peer_folder("openbao")) as bao:
        yield ratio(
            _ROTATE,
            lambda: (
                load(
                    url,
                    connections=_CONNECTIONS,
                    seconds=run.seconds,
                    headers=headers,
                    method="POST",
                    path="/secrets/bench-@M@/rotate",
                    body="{}",
                ).rate
            ),
            lambda: _put(bao, run.seconds),
            peer="OpenBao",
            rounds=run.rounds,
        )


def _put(bao: OpenBao, seconds: float) -> float:
    body = '{"data": {"JWT_SECRET": "@N@", "DB_PASSWORD": "@N@"}}'
    path = "/v1/secret/data/bench-@M@"
    return load(
        bao.url,
        connections=_CONNECTIONS,
        seconds=seconds,
        headers=bao.headers,
        method="POST",
        path=path,
        body=body,
    ).rate


ROWS = (
    Row("read a secret", "OpenBao", (_READ, _READ_BARE), _read),
    Row("rotate", "OpenBao", (_ROTATE,), _rotate),
)
