"""etcd's JSON gateway: one node, one key."""

import base64
import contextlib
import json
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fountain_common.ports import free_port

from benchmarks.processes import NotRun, answers, child, wait_until


@dataclass(frozen=True)
class Etcd:
    """A running node; `range_url` and `range_body` read the one key."""

    range_url: str
    range_body: str


@contextlib.contextmanager
def etcd(folder: Path) -> Iterator[Etcd]:
    """Start etcd in `folder` with a value of the size of a lookup's answer under one key."""
    binary = shutil.which("etcd")
    if binary is None:
        raise NotRun("etcd is not installed (Debian package etcd-server)")
    folder.mkdir(parents=True)
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    command = [binary, "--data-dir", str(folder / "data"), "--log-level", "error"]
    command += ["--listen-client-urls", client, "--advertise-client-urls", client]
    command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
    command += ["--initial-cluster", f"default={peer}"]
    with child(command, log=folder / "server.log"):
        wait_until(lambda: answers(f"{client}/health"), "etcd")
        key = base64.b64encode(b"/services/x").decode()
        value = base64.b64encode(json.dumps({"url": "http://10.0.0.1:8000", "pad": "x" * 300}).encode())
        body = json.dumps({"key": key, "value": value.decode()}).encode()
        with urllib.request.urlopen(f"{client}/v3/kv/put", data=body, timeout=5) as response:
            response.read()
        yield Etcd(f"{client}/v3/kv/range", json.dumps({"key": key}))
