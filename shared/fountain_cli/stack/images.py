"""The images that a build starts from, and what it borrows from this machine."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from fountain_cli.stack.face import StackError
from fountain_cli.stack.state import State

PUBLIC = {"PYTHON_IMAGE": "python:3.13-slim", "CADDY_IMAGE": "caddy:2"}
LOCAL = {"PYTHON_IMAGE": "fountain-base/python:3.13", "CADDY_IMAGE": "fountain-base/caddy:2"}
"""Their names where `make base-images` made them."""
PROMETHEUS, PUBLIC_PROMETHEUS, LOCAL_PROMETHEUS = (
    "PROMETHEUS_IMAGE",
    "prom/prometheus:v2.55.1",
    "fountain-base/prometheus:2",
)
_PULL_SECONDS = 300


def build_environment(
    root: Path, state: State, environment: Mapping[str, str], *, verbose: bool = True
) -> dict[str, str]:
    """Return the Compose file's variables that a build needs, and make what they name.

    The base images are those that the environment names; else the public ones; else, where they can be
    neither found nor pulled, those that this machine makes. Prometheus is made only where the environment
    names an image for it. With `verbose` the scripts that make them print what they do.

    Raises:
        StackError: the base images cannot be made.
    """
    build = _services(root, state, environment, verbose)
    return build | _prometheus(root, environment, verbose) if environment.get(PROMETHEUS) else build


def _prometheus(root: Path, environment: Mapping[str, str], verbose: bool) -> dict[str, str]:
    if _present(environment[PROMETHEUS]):
        return {}
    if not _present(LOCAL_PROMETHEUS):
        if _pull(environment[PROMETHEUS]):
            return {}
        _script(root, "base-images.sh", "--missing", "prometheus", verbose=verbose)
    return {PROMETHEUS: LOCAL_PROMETHEUS}


def _services(root: Path, state: State, environment: Mapping[str, str], verbose: bool) -> dict[str, str]:
    folder = state.folder / "build"
    state.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _script(root, "build-secrets.sh", str(folder), verbose=verbose)
    build = {"FOUNTAIN_BUILD_PIP": str(folder / "pip.conf"), "FOUNTAIN_BUILD_CA": str(folder / "ca.pem")}
    wanted = {name: environment.get(name) or image for name, image in PUBLIC.items()}
    if all(_present(image) for image in wanted.values()):
        return build | wanted
    if not any(environment.get(name) for name in PUBLIC) and all(_present(image) for image in LOCAL.values()):
        return build | LOCAL
    if all(_present(image) or _pull(image) for image in wanted.values()):
        return build | wanted
    _script(root, "base-images.sh", "--missing", "python", "caddy", verbose=verbose)
    return build | LOCAL


def _script(root: Path, name: str, *arguments: str, verbose: bool) -> None:
    said = None if verbose else subprocess.PIPE
    command = [str(root / "scripts" / name), *arguments]
    done = subprocess.run(  # noqa: S603
        command, check=False, env=os.environ, stdout=said, stderr=said and subprocess.STDOUT
    )
    if done.returncode:
        printed = (done.stdout or b"").decode(errors="replace")
        raise StackError(f"{printed}scripts/{name} failed; what it said stands above.")


def _present(image: str) -> bool:
    command = ["docker", "image", "inspect", image]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603


def _pull(image: str) -> bool:
    command = ["docker", "pull", "--quiet", image]
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=_PULL_SECONDS)  # noqa: S603
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
