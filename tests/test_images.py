"""What the images hold and what their containers may: looked at in the ones that run."""

import mmap
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest
from fountain_cli.stack import ComposeStack, Stack
from image_layers import Archive, Image, saved
from image_packages import packages
from leaks import containers
from licences import problem
from sbom import document

SECRETS = [
    re.compile(pattern)
    for pattern in (
        rb"fnt_[a-z0-9]{12,16}_[A-Za-z0-9_-]{43}",
        rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{48}",
        rb"eyJ(?:hbGciOiJ[FS]|0eXAi|raWQi)[A-Za-z0-9_-]{16,}\.eyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{32,}",
        rb"AKIA[0-9A-Z]{16}(?![0-9A-Za-z])",
        rb"ghp_[A-Za-z0-9]{36}(?![0-9A-Za-z])",
        rb"index-url\s*=\s*\S+://",
    )
]
"""API keys, private keys, tokens that a private key has signed, and the address of a package index."""
LEFT_OVER = re.compile(
    r"(.*/)?(\.[a-z]*_?history|\.netrc|\.pypirc|\.npmrc|\.git|\.env|id_(rsa|ed25519)|pip\.conf)"
    r"|(root|home/.*|app)/\.(cache|config|ssh|docker)(/.*)?"
    r"|var/cache/apt/archives/.*\.deb|var/lib/apt/lists/.*_(Packages|Release)(\..*)?"
    r"|run/secrets/.+|tmp/.+"
)
MAX_SHOWN = 40


@pytest.fixture(scope="module")
def running(stack: Stack) -> list[dict[str, Any]]:
    if not isinstance(stack, ComposeStack):
        pytest.skip("local processes have no images")
    return containers(stack)


@pytest.fixture(scope="module")
def archive(running: list[dict[str, Any]]) -> Iterator[Archive]:
    with saved(sorted({container["Config"]["Image"] for container in running})) as archive:
        yield archive


@pytest.fixture(scope="module")
def images(archive: Archive) -> list[Image]:
    return archive.images()


def test_no_container_runs_as_root_or_can_become_it(running: list[dict[str, Any]]) -> None:
    for container in running:
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", container["Config"]["User"]), container["Name"]
        command = ["docker", "exec", container["Id"], "cat", "/proc/1/status"]
        status = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        said = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert "0" not in said["Uid"].split() + said["Gid"].split(), container["Name"]
        for capabilities in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"):
            assert int(said[capabilities], 16) == 0, (container["Name"], capabilities)
        assert said["NoNewPrivs"].strip() == "1", container["Name"]


def test_every_container_is_given_no_more_than_it_needs(running: list[dict[str, Any]]) -> None:
    for container in running:
        host, name = container["HostConfig"], container["Name"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert not host["Privileged"], name
        assert host["Init"], name
        assert host["PidsLimit"] > 0, name
        assert host["Memory"] > 0, name
        assert not host["Devices"], name
        assert (host["PidMode"], host["IpcMode"]) == ("", "private"), name
        assert all(mount["Type"] == "volume" for mount in container["Mounts"]), name
        assert container["State"]["Health"]["Status"] == "healthy", name


def test_every_image_names_its_user_and_how_it_is_asked_for_its_health(images: list[Image]) -> None:
    for image in images:
        said = image.config["config"]
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", said["User"]), image.names
        assert said["Healthcheck"]["Test"][0] == "CMD", image.names


def test_no_program_in_an_image_gives_more_rights_than_its_caller_has(
    archive: Archive, images: list[Image]
) -> None:
    for image in images:
        files = archive.files(image).items()
        assert len(files) > 100, image.names
        assert [path for path, info in files if info.isfile() and info.mode & 0o6000] == [], image.names
        assert [path for path, info in files if "SCHILY.xattr.security.capability" in info.pax_headers] == []


def test_no_image_holds_what_somebody_typed_or_fetched(archive: Archive, images: list[Image]) -> None:
    for image in images:
        files = archive.files(image).items()
        found = [path for path, info in files if info.isfile() and LEFT_OVER.fullmatch(path)]
        assert found == [], image.names


def test_what_looks_like_a_secret_is_in_no_layer(archive: Archive) -> None:
    with tempfile.TemporaryFile() as file:
        archive.write_all(file)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as everything:
            assert len(everything) > 50_000_000
            assert everything.find(b"fountain_common") >= 0
            found = [hit.group()[:MAX_SHOWN] for secret in SECRETS for hit in secret.finditer(everything)]
    assert found == []


def test_the_search_knows_a_secret_when_it_sees_one() -> None:
    pem = b"-----BEGIN EC PRIVATE KEY-----\n" + b"A" * 64
    for planted in (b"fnt_0123456789ab_" + b"x" * 43, pem, b"[global]\nindex-url = https://a:b@example.com"):
        assert any(secret.search(b"\0" + planted + b"\0") for secret in SECRETS)


def test_everything_in_an_image_may_be_handed_out_and_stands_in_its_bill_of_materials(
    archive: Archive, images: list[Image]
) -> None:
    for image in images:
        found = packages(archive, image)
        distributions = [part for part in found if part.kind == "pypi"]
        assert [wrong for part in distributions if (wrong := problem(part.name, part.licence))] == []
        text = document(image, found)
        listed = {part.name.lower() for part in found}
        holds = "github.com/caddyserver" if "caddy" in PurePosixPath(image.names[0]).name else "fastapi"
        assert any(name.startswith(holds) for name in listed), image.names
        base = "pkg:deb/debian/base-files@", "pkg:apk/alpine/alpine-baselayout@"
        assert any(package in text for package in base), image.names
