"""Where the sources are at hand: the same files with the same jobs in every service (design, section 2)."""

from pathlib import Path

from fountain_cli.conformance.findings import Finding

_NEEDED = (
    "requirements.in",
    "requirements.txt",
    "Dockerfile",
    "entrypoint.py",
    "main.py",
    "pytest.ini",
    "README.md",
)
_TESTS = "tests/test_main.py"


def misplaced(root: Path, service: str) -> list[Finding]:
    """What the folder of a service lacks; `root` is the repository."""
    folder = root / "services" / service
    package = service.replace("-", "_")
    found = [
        Finding("2", f"services/{service}/{name}", "is not there", "add it, as every service has it")
        for name in (*_NEEDED, _TESTS, f"{package}/__init__.py", f"{package}/settings.py")
        if not (folder / name).is_file()
    ]
    if not _is_wired(root, service):
        place = f"compose.yaml, service {service}"
        found.append(Finding("2", place, "is not there", "add it, or make the service with make new-service"))
    return found


def _is_wired(root: Path, service: str) -> bool:
    return f"\n  {service}:\n" in (root / "compose.yaml").read_text()
