"""Where the sources are at hand: the same files with the same jobs in every service."""

from fountain_cli.conformance.findings import Found
from fountain_cli.conformance.missing import NotChecked
from fountain_cli.conformance.target import Target

_NEEDED = (
    "requirements.in",
    "requirements.txt",
    "Dockerfile",
    "entrypoint.py",
    "main.py",
    "pytest.ini",
    "README.md",
    "tests/test_main.py",
)


def layout(target: Target) -> Found:
    """The service's folder has what every service has, and Compose has the service."""
    name = target.name
    if target.sources is None or not (target.sources / "services" / name).is_dir():
        raise NotChecked("its sources are not in this repository")
    package = name.replace("-", "_")
    for needed in (*_NEEDED, f"{package}/__init__.py", f"{package}/settings.py"):
        place = f"services/{name}/{needed}"
        if not (target.sources / place).is_file():
            yield place, "is missing", "add it, as every service has it"
    if f"\n  {name}:\n" not in (target.sources / "compose.yaml").read_text():
        yield (
            f"compose.yaml, service {name}",
            "is missing",
            "add it, or make the service with make new-service",
        )
