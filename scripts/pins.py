"""What requirements, Dockerfiles and build scripts may say, so that only known files get into an image.

Pure rules over text; `check_pins.py` lays them on the files of the repository. Every rule answers sentences,
none if all is well.
"""

import json
import re
import shlex
from collections.abc import Iterator

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_PIN = re.compile(rf"(?P<name>{_NAME})(?:\[[A-Za-z0-9_,.-]+\])?==(?P<version>[0-9][A-Za-z0-9.!+_-]*)")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
_INCLUDE = re.compile(r"-r +(?P<path>[./A-Za-z0-9_-]+/)?requirements\.in")
_HASHED_INSTALL = ("--require-hashes", "--no-deps", "--only-binary")
_FETCHES = re.compile(
    r"\b(apt-get|apt|apk|dnf|yum|npm|npx|git|easy_install|conda|gem|cargo|go)\s+[a-z-]|\b(curl|wget)\b"
)
_PIP = re.compile(r"\b(pip[0-9.]*|uv)\b.*\b(?P<verb>install|wheel|download)\b")
_FROM = re.compile(r"\bfrom=(?P<image>[^,\s]+)")
_HEREDOC = re.compile(r"<<-?\s*[\"']?\w")


def canonical(name: str) -> str:
    """Return a distribution's name as indexes compare it (PyPA, name normalization)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(text: str) -> Iterator[str]:
    """Return the requirements of a file: comments gone, continued lines joined."""
    without = re.sub(r"(?m)(^|\s)#.*$", "", text)
    for line in re.sub(r"\\\n", " ", without).splitlines():
        if line.strip():
            yield " ".join(line.split())


def pins(text: str) -> dict[str, str]:
    """Return the versions that a file pins, by canonical name."""
    found = (_PIN.match(line) for line in requirements(text))
    return {canonical(match["name"]): match["version"] for match in found if match}


def locked_problems(text: str) -> Iterator[str]:
    """Say what in a requirements.txt is not a pinned distribution with its hashes."""
    for line in requirements(text):
        requirement, _, options = line.partition(" --")
        pin = requirement.partition(";")[0].strip()
        if not _PIN.fullmatch(pin) or "://" in line:
            yield f"{line[:80]!r} is not a name with one version (name==1.2.3)"
        elif not options:
            yield f"{pin!r} has no hash"
        elif not all(_HASH.fullmatch(word) for word in f"--{options}".split()):
            yield f"{pin!r} has an option that is not a SHA-256 hash"


def input_problems(text: str) -> Iterator[str]:
    """Say what in a requirements.in is neither one version of a distribution nor another requirements.in."""
    for line in requirements(text):
        if not _PIN.fullmatch(line) and not _INCLUDE.fullmatch(line):
            yield f"{line!r} is neither name==1.2.3 nor -r ../requirements.in"


def disagreements(wanted: str, locked: str) -> Iterator[str]:
    """Say what a requirements.in asks for and its requirements.txt does not pin as asked."""
    found = pins(locked)
    for name, version in pins(wanted).items():
        if found.get(name) != version:
            yield f"{name}=={version} is asked for, {found.get(name) or 'nothing'} is locked: run make lock"


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Return the instructions of a Dockerfile, each with its arguments on one line."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n", " ", lines).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield word.upper(), " ".join(rest.split())


def dockerfile_problems(text: str) -> Iterator[str]:
    """Say what in a Dockerfile brings something into the image that no hash vouches for."""
    arguments: set[str] = set()
    stages: set[str] = set()
    for word, rest in instructions(text):
        if word == "ARG" and not stages:
            arguments.add(rest.partition("=")[0])
        elif word == "FROM":
            image, *name = rest.split()
            if not _known(image, stages, arguments):
                yield f"FROM {image}: a base image is a build argument, as in ARG X=... and FROM ${{X}}"
            stages.add(name[-1] if name else image)
        elif word == "ADD":
            yield f"ADD {rest}: COPY takes files, and nothing else"
        elif word in ("COPY", "RUN") and _HEREDOC.search(rest):
            yield f"{word} {rest}: what is written behind << is not looked through; use a file or &&"
        elif word == "COPY" and "://" in rest:
            yield f"COPY {rest}: what comes from an address has no hash"
        elif word in ("COPY", "RUN") and (image := _foreign(rest, stages, arguments)):
            yield f"{word} {rest}: {image} is neither a stage nor an argument (ARG X=... and ${{X}})"
        elif word == "RUN":
            yield from shell_problems(_command(rest))


def _known(image: str, stages: set[str], arguments: set[str]) -> bool:
    return image in stages or any(image == f"${{{argument}}}" for argument in arguments)


def _foreign(rest: str, stages: set[str], arguments: set[str]) -> str:
    """Return what files are taken from that is not known; "" if there is none."""
    options = [word for word in rest.split() if word.startswith("--")]
    images = [match["image"] for option in options for match in _FROM.finditer(option)]
    return next((image for image in images if not _known(image, stages, arguments)), "")


def _command(rest: str) -> str:
    """Return what RUN executes as a shell's words, whichever of its forms it has."""
    try:
        words = json.loads(rest[rest.index("[") :]) if re.match(r"(--\S+ )*\[", rest) else None
    except ValueError:
        return rest
    return rest if words is None else shlex.join(map(str, words))


def shell_problems(command: str) -> Iterator[str]:
    """Say what a command of a build fetches that no hash vouches for."""
    for part in re.split(r"&&|\|\||[;|]", command):
        if found := _PIP.search(part):
            yield from _install_problems(part, found["verb"])
        elif _FETCHES.search(part):
            yield f"{part.strip()!r} fetches what no hash vouches for"


def _install_problems(part: str, verb: str) -> Iterator[str]:
    try:
        words = shlex.split(part)
        given = words[words.index(verb) + 1 :]
    except ValueError:
        yield f"{part.strip()!r} cannot be read as a command"
        return
    for option in _HASHED_INSTALL:
        if option not in words:
            yield f"{part.strip()!r} lacks {option}"
    takes_value = {"-r", "--requirement", "--only-binary"}
    for before, word in zip(["", *given], given, strict=False):
        if not word.startswith("-") and before not in takes_value:
            yield f"{part.strip()!r} names {word} itself; a requirements.txt does that, with hashes"
