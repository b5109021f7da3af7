"""Lookups at the gateway, against bare FastAPI and etcd's JSON gateway."""

from collections.abc import Iterator

from benchmarks.measure import Budget, Result, ratio
from benchmarks.peers.bare_fastapi import bare_fastapi
from benchmarks.peers.etcd import etcd
from benchmarks.rows import Row, Run
from benchmarks.wrk import load

_BARE = Budget("lookup, against bare FastAPI", "x bare FastAPI", floor=0.45, aim=0.7)
_ETCD = Budget("lookup, against etcd", "x etcd", floor=0.8, aim=1.5)


def _measure(run: Run) -> Iterator[Result]:
    url = f"{run.stack.address('gateway-lookup')}/lookup/example-consumer"
    headers = run.bearer()

    def ours() -> float:
        return load(url, seconds=run.seconds, headers=headers).rate

    with bare_fastapi(run.peer_folder("bare")) as bare:
        theirs = lambda: load(bare, seconds=run.seconds).rate  # noqa: E731 - named for whose it is
        yield ratio(_BARE, ours, theirs, peer="bare FastAPI", rounds=run.rounds)
    with etcd(run.peer_folder("etcd")) as node:
        theirs = lambda: load(node.range_url, seconds=run.seconds, method="POST", body=node.range_body).rate  # noqa: E731
        yield ratio(_ETCD, ours, theirs, peer="etcd", rounds=run.rounds)


ROWS = (Row("lookup", "bare FastAPI, etcd", (_BARE, _ETCD), _measure),)
