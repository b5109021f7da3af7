"""What an image is made of: packages of Debian or Alpine, Python distributions, Go modules of programs.

Read from the files of the image; nothing in it is run.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser

from image_layers import Archive, Image
from licences import licence_of

_DPKG = "var/lib/dpkg/status"
_APK = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
_OS_RELEASE = ("etc/os-release", "usr/lib/os-release")
_DISTRIBUTION = (".dist-info/METADATA",)
_PROGRAM = re.compile(r"(usr/(local/)?)?s?bin/[^/]+")
_GO_MAGIC = b"\xff Go buildinf:"
_GO_STRINGS_AT = 32
_GO_FRAME = 16
"""Bytes before and after the list of modules, which mark it in the program."""
_LONGEST_LIST = 1 << 20


@dataclass(frozen=True, order=True)
class Package:
    """One thing that an image holds.

    Attributes:
        kind: `deb`, `apk`, `pypi`, `golang` or `generic`: the type of a package URL.
        licence: an SPDX expression, or an empty text where the package does not say it.
        details: more of the package URL, such as the architecture.
    """

    kind: str
    name: str
    version: str
    licence: str = ""
    details: tuple[tuple[str, str], ...] = ()


def packages(archive: Archive, image: Image) -> list[Package]:
    """Return everything that is known to be in an image, each once, sorted.

    Raises:
        ValueError: it is of a distribution whose list of packages is not known here.
    """
    programs = tuple(path for path in archive.files(image) if _PROGRAM.fullmatch(path))
    wanted = (_DPKG, *_APK, *_OS_RELEASE, *_DISTRIBUTION, *programs)
    texts = dict(archive.texts(image, wanted))
    system = distro(texts)
    found = set(debian(texts.get(_DPKG, b""), system))
    for path in _APK:
        found |= set(alpine(texts.get(path, b""), system))
    if system and not found:
        name = image.names[0] if image.names else image.digest
        raise ValueError(f"{name} is {system}, and lists no package where Debian or Alpine do.")
    for path, content in texts.items():
        if path.endswith(_DISTRIBUTION):
            found.add(python(content))
        elif path in programs:
            found |= set(go_modules(content))
    return sorted(found | set(interpreter(image)))


def distro(texts: dict[str, bytes]) -> str:
    """Return such as `debian-13`."""
    text = next((texts[path] for path in _OS_RELEASE if texts.get(path)), b"").decode()
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return "-".join(said.get(key, "").strip('"') for key in ("ID", "VERSION_ID")).strip("-")


def debian(status: bytes, distro: str) -> Iterator[Package]:
    """Return the installed packages of a dpkg status file."""
    for paragraph in status.split(b"\n\n"):
        fields = BytesParser().parsebytes(paragraph.strip() + b"\n\n", headersonly=True)
        if str(fields.get("Status", "")).endswith(" installed"):
            details = (("arch", str(fields["Architecture"])), ("distro", distro))
            yield Package("deb", str(fields["Package"]), str(fields["Version"]), details=details)


def alpine(installed: bytes, distro: str) -> Iterator[Package]:
    """Return the packages of apk's list of what is installed (a letter, a colon and a value a line)."""
    for paragraph in installed.decode().split("\n\n"):
        fields = dict(line.split(":", 1) for line in paragraph.splitlines() if line[1:2] == ":")
        if {"P", "V"} <= fields.keys():
            details = (("arch", fields.get("A", "")), ("distro", distro))
            yield Package("apk", fields["P"], fields["V"], details=details)


def python(metadata: bytes) -> Package:
    """Return the distribution of a METADATA file (core metadata specifications)."""
    fields: Message = BytesParser().parsebytes(metadata, headersonly=True)
    return Package("pypi", str(fields["Name"]), str(fields["Version"]), licence_of(fields))


def interpreter(image: Image) -> Iterator[Package]:
    """Return the Python of an official image, which is in no package list but in the image's environment."""
    for setting in image.config.get("config", {}).get("Env") or ():
        name, _, version = setting.partition("=")
        if name == "PYTHON_VERSION":
            yield Package("generic", "python", version, "PSF-2.0")


def go_modules(program: bytes) -> Iterator[Package]:
    """Return the modules that a program was built of, as Go's linker leaves them in it (debug/buildinfo)."""
    at = program.find(_GO_MAGIC)
    if at < 0:
        return
    go, rest = _go_string(program, at + _GO_STRINGS_AT)
    listed, _ = _go_string(program, rest)
    yield Package("golang", "stdlib", go.removeprefix("go"), "BSD-3-Clause")
    previous: Package | None = None
    for line in listed[_GO_FRAME:-_GO_FRAME].splitlines():
        word, *values = line.split("\t")
        if word == "=>" and len(values) >= 2:  # the one before is replaced by this
            previous = Package("golang", values[0], values[1])
        elif word in ("mod", "dep") and len(values) >= 2:
            if previous:
                yield previous
            previous = Package("golang", values[0], values[1])
    if previous:
        yield previous


def _go_string(program: bytes, at: int) -> tuple[str, int]:
    """A text after its length, which is a varint; and where it ends."""
    length = shift = 0
    while True:
        byte = program[at]
        length |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            break
    if length > _LONGEST_LIST:
        return "", at
    return program[at : at + length].decode(errors="replace"), at + length
