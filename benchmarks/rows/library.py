"""What `create_service` costs a request: an authenticated constant endpoint against bare FastAPI."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from fountain_common.ports import free_port
from fountain_common.testing import TokenMaker

from benchmarks.measure import Budget, Result, ratio
from benchmarks.peers.bare_fastapi import bare_fastapi
from benchmarks.processes import answers, child, wait_until
from benchmarks.rows import Row, Run
from benchmarks.wrk import load

_CONSTANT = Budget("authenticated constant endpoint", "x bare FastAPI", floor=0.5, aim=0.7)


@contextlib.contextmanager
def constant_service(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A service whose only peer is the key that signs its tokens; yields the URL and the header to send."""
    folder.mkdir(parents=True)
    maker = TokenMaker()
    (folder / "jwks.json").write_text(json.dumps(maker.jwks()))
    port = free_port()
    application = Path(__file__).parents[1] / "subjects" / "constant.py"
    environment = {**os.environ, "BENCHMARK_JWKS": str(folder / "jwks.json"), "BENCHMARK_PORT": str(port)}
    with child([sys.executable, str(application)], log=folder / "server.log", env=environment):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{url}/health"), "the constant service")
        yield f"{url}/constant", {"Authorization": f"Bearer {maker.token('bench', ['admin'], 'constant')}"}


def _measure(run: Run) -> Iterator[Result]:
    with (
        constant_service(run.peer_folder("constant")) as (url, headers),
        bare_fastapi(run.peer_folder("bare")) as bare,
    ):
        yield ratio(
            _CONSTANT,
            lambda: load(url, seconds=run.seconds, headers=headers).rate,
            lambda: load(bare, seconds=run.seconds).rate,
            peer="bare FastAPI",
            rounds=run.rounds,
        )


ROWS = (Row("constant", "bare FastAPI", (_CONSTANT,), _measure),)
