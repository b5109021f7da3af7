"""Which runtime, and which stack, a command means."""

import contextlib
import shutil
import subprocess
from collections.abc import Mapping

from fountain_cli.stack.compose import ComposeStack
from fountain_cli.stack.face import BadSetting, NotRunning, StackError
from fountain_cli.stack.images import PROMETHEUS, PUBLIC_PROMETHEUS
from fountain_cli.stack.layout import repository, require_scalable, services
from fountain_cli.stack.local import LocalStack
from fountain_cli.stack.ports import Ports
from fountain_cli.stack.project import project_name
from fountain_cli.stack.state import State
from fountain_cli.stack.variables import TLS, variables

_DOCKER_SECONDS = 10


def forced(environment: Mapping[str, str]) -> str | None:
    """Return the runtime that `FOUNTAIN_RUNTIME` forces.

    Raises:
        BadSetting: it is neither `docker` nor `local`.
    """
    runtime = environment.get("FOUNTAIN_RUNTIME") or None
    if runtime not in (None, "docker", "local"):
        raise BadSetting(f"FOUNTAIN_RUNTIME is {runtime!r}; it can be docker or local.")
    return runtime


def engine_answers() -> bool:
    """Say whether a Docker engine with Compose can be used by this user."""
    if not shutil.which("docker"):
        return False
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        try:
            if subprocess.run(command, check=False, capture_output=True, timeout=_DOCKER_SECONDS).returncode:  # noqa: S603
                return False
        except subprocess.TimeoutExpired:
            return False
    return True


def meant(forced: str | None, *, containers_alone: bool, local_runs: bool, engine: bool) -> str:
    """Return the runtime in which `up` starts the platform, or changes the one that runs (pure).

    Args:
        forced: what `FOUNTAIN_RUNTIME` says.
        containers_alone: something is asked for that local processes do not have.
        local_runs: local processes run here already.
        engine: a Docker engine answers.

    Raises:
        StackError: it would be a second platform beside the one that runs.
    """
    if forced is not None:
        return forced
    if not local_runs:
        return "docker" if engine or containers_alone else "local"
    if containers_alone:
        raise StackError(
            "The platform runs here as local processes, and this is for containers alone. Stop it first with "
            "fountain down, or start a second one beside it with FOUNTAIN_RUNTIME=docker."
        )
    return "local"


def to_start(
    replicas: Mapping[str, int], *, dev: bool = False, observe: bool = False, verbose: bool = False
) -> ComposeStack | LocalStack:
    """Return the stack that `up` starts: the one that runs here already; else containers where an engine
    answers, else local processes.

    Args:
        replicas: how many of a service, where that is not one.
        dev: with hot reload; in containers alone.
        observe: with Prometheus; in containers alone.
        verbose: show what a build of images prints.

    Raises:
        StackError: containers are asked for and no engine answers, or they would be a second platform.
        NoSuchService, NotScalable: of a service so many cannot run.
    """
    root = repository()
    known, given = services(root), variables(root)
    for name, count in replicas.items():
        require_scalable(known, name, count)
    engine = engine_answers()
    runtime = meant(
        forced(given),
        containers_alone=dev or observe,
        local_runs=_remembered_local().running(),
        engine=engine,
    )
    if runtime == "local" and observe:
        raise StackError("Prometheus runs beside containers alone: docs/deploy.md says how to run your own.")
    if runtime == "local":
        single = {service.name: 1 for service in known}
        return LocalStack(replicas={**single, **replicas})
    if not engine:
        raise StackError("No Docker engine with Compose answers. Start it, or use FOUNTAIN_RUNTIME=local.")
    more = [name for name, wanted in (("dev", dev), ("observability", observe)) if wanted]
    files = ("compose.yaml", *(f"compose.{name}.yaml" for name in more))
    images = {PROMETHEUS: given.get(PROMETHEUS) or PUBLIC_PROMETHEUS} if observe else {}
    return ComposeStack(replicas=replicas, files=files, settings=images, verbose=verbose)


def running_or_next(*, asks: bool = False) -> ComposeStack | LocalStack:
    """Return the stack that runs, else the one that `up` would start; `asks` as in `current`."""
    try:
        return current(asks=asks)
    except NotRunning:
        return to_start({})


def current(*, asks: bool = False) -> ComposeStack | LocalStack:
    """Return the stack that runs here, with the choices that it was started with.

    Args:
        asks: the command itself asks whether what a vanished clone started is this one's now.

    Raises:
        NotRunning: none does.
        Foreign: one does, of another clone.
        Lost: one does, of a clone that cannot be seen from here, and nobody asks.
    """
    root = repository()
    given = variables(root)
    runtime = forced(given)
    if runtime in (None, "local"):
        local = _remembered_local()
        if local.running():
            return local
    if runtime in (None, "docker") and shutil.which("docker"):
        remembered = State.from_environment(given, root).remembered(project_name(root))
        compose = ComposeStack(settings={name: str(value) for name, value in remembered.items()})
        runs = False
        with contextlib.suppress(StackError):  # no engine answers
            runs = compose.running()
        if runs:
            if asks:
                compose.require_own()
            else:
                compose.require_agreed()
            return compose
    raise NotRunning("The platform does not run here. Start it with: make up")


def _remembered_local() -> LocalStack:
    """Return the local processes with the ports and the domain that they were started with."""
    root = repository()
    facts = State.from_environment(variables(root), root).remembered("local")
    ports = facts.get("ports")
    chosen = {"FOUNTAIN_DOMAIN": facts.get("domain"), TLS: facts.get("tls")}
    return LocalStack(
        ports=Ports.of_mapping(ports) if isinstance(ports, dict) else None,
        settings={name: str(value) for name, value in chosen.items() if value},
    )
