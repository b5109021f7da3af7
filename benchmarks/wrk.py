"""HTTP load by `wrk`, whose own cost is far below that of the servers under test."""

import re
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import NotRun

_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True)
class Load:
    """What one round saw: requests a second, and the latency quantiles in milliseconds."""

    rate: float
    p50: float
    p99: float


def load(
    url: str,
    *,
    connections: int = 16,
    seconds: float = 3.0,
    headers: dict[str, str] | None = None,
    method: str = "GET",
    body: str | None = None,
    path: str | None = None,
    among: int = 64,
) -> Load:
    """Load `url` for `seconds`; in `body` and `path`, `@N@` becomes a word that no other request carries.

    `@M@` becomes a number from 0 to 63, the next with each request, and `@R@` one below `among`, at random.

    Raises `NotRun` where wrk is missing, or where any answer was not a 2xx or took more than two seconds: a
    rate of errors is no rate.
    """
    if shutil.which("wrk") is None:
        raise NotRun("wrk is not installed (Debian package wrk)")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "request.lua")
        script.write_text(_script(headers or {}, method, body, path, among))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", str(script), url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    return parse(done.stdout + done.stderr)


def parse(output: str) -> Load:
    """Read wrk's report."""
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    if failed or (broken and any(map(int, broken.groups()))):
        raise NotRun(f"the load had failures: {(failed or broken).group(0)}")  # type: ignore[union-attr]
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if rate is None:
        raise NotRun(f"wrk gave no figure: {output.strip()[-200:]}")
    return Load(float(rate.group(1)), _quantile(output, "50%"), _quantile(output, "99%"))


def _quantile(output: str, name: str) -> float:
    found = re.search(rf"{re.escape(name)}\s+([\d.]+)(us|ms|s|m)", output)
    return float(found.group(1)) * _MILLISECONDS[found.group(2)] if found else float("nan")


def _script(headers: dict[str, str], method: str, body: str | None, path: str | None, among: int) -> str:
    lines = [f"wrk.method = {_lua(method)}", f"local run = {_lua(_run_id())}"]
    lines += [f"wrk.headers[{_lua(name)}] = {_lua(value)}" for name, value in headers.items()]
    if body is None and path is None:
        return "\n".join(lines)
    lines += [
        # Each process begins alike otherwise, and a round would ask for what the one before it asked for.
        f"math.randomseed({secrets.randbits(31)})",
        "local n = 0",
        f"local body = {_lua(body) if body is not None else 'nil'}",
        f"local path = {_lua(path) if path is not None else 'wrk.path'}",
        "request = function()",
        "  n = n + 1",
        "  local id = run .. n",
        "  local m = n % 64",
        "  local sent = body and body:gsub('@N@', id):gsub('@M@', m)",
        f"  local r = math.random(0, {among - 1})",
        "  return wrk.format(nil, (path:gsub('@N@', id):gsub('@M@', m):gsub('@R@', r)), nil, sent)",
        "end",
    ]
    return "\n".join(lines)


def _run_id() -> str:
    return secrets.token_hex(4) + "-"


def _lua(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{quoted}"'
