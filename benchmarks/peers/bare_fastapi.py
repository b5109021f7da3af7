"""A FastAPI application with one endpoint that returns a constant, and nothing else."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from fountain_common.ports import free_port

from benchmarks.processes import answers, child, wait_until

_APPLICATION = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/constant")
async def constant() -> dict[str, str]:
    return {"answer": "constant"}
"""


@contextlib.contextmanager
def bare_fastapi(folder: Path) -> Iterator[str]:
    """Serve the application with one uvicorn worker; yields the URL of its endpoint."""
    folder.mkdir(parents=True)
    (folder / "bare.py").write_text(_APPLICATION)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "bare:app", "--port", str(port), "--no-access-log"]
    with child(command, log=folder / "server.log", cwd=folder):
        url = f"http://127.0.0.1:{port}/constant"
        wait_until(lambda: answers(url), "bare FastAPI")
        yield url
