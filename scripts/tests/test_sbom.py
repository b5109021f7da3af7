import io
import json
from datetime import UTC, datetime

import pytest
from image_layers import Archive, Image
from image_packages import Package, debian, go_modules, packages
from sbom import document
from test_image_layers import tar

METADATA = b"Metadata-Version: 2.4\nName: Some_Thing\nVersion: 1.0\nLicense-Expression: MIT\n\nText: x\n"
STATUS = b"""Package: base-files
Status: install ok installed
Architecture: amd64
Version: 13.8+deb13u7
Description: files
 more

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1
"""
CREATED = "2026-01-02T03:04:05.123456789Z"


def program(modules: str, go: str = "go1.26.8") -> bytes:
    def text(of: bytes) -> bytes:
        length, head = len(of), b""
        while length > 0x7F:
            head, length = head + bytes([length & 0x7F | 0x80]), length >> 7
        return head + bytes([length]) + of

    header = b"\xff Go buildinf:" + b"\x08\x02" + bytes(16)
    frame = b"\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6"
    return bytes(64) + header + text(go.encode()) + text(frame + modules.encode() + frame) + bytes(64)


DEBIAN = {
    "var/lib/dpkg/status": STATUS,
    "usr/lib/os-release": b'ID=debian\nVERSION_ID="13"\n',
    "opt/venv/lib/x-1.0.dist-info/METADATA": METADATA,
    "usr/bin/caddy": program(
        "path\tcaddy\nmod\tcaddy\t(devel)\t\n" + "dep\texample.com/a\tv1.2.3\th1:x=\n" * 9
    ),
}
INSTALLED = b"""C:Q1abc=
P:alpine-baselayout
V:3.7.0-r0
A:x86_64
L:GPL-2.0-only
F:dev
R:null

P:musl
V:1.2.5-r10
A:x86_64
"""


def archive(layer_of: dict[str, bytes] = DEBIAN) -> Archive:
    layer = tar(**layer_of)
    config = {"created": CREATED, "config": {"Env": ["PATH=/bin"]}}
    manifest = [{"Config": "ab.json", "RepoTags": ["x/y:1"], "Layers": ["l"]}]
    files = {
        "manifest.json": json.dumps(manifest).encode(),
        "ab.json": json.dumps(config).encode(),
        "l": layer,
    }
    return Archive(io.BytesIO(tar(**files)))


def test_an_image_is_taken_apart_into_what_it_is_made_of() -> None:
    one = archive()
    [image] = one.images()
    assert packages(one, image) == [
        Package("deb", "base-files", "13.8+deb13u7", details=(("arch", "amd64"), ("distro", "debian-13"))),
        Package("golang", "caddy", "(devel)"),
        Package("golang", "example.com/a", "v1.2.3"),
        Package("golang", "stdlib", "1.26.8", "BSD-3-Clause"),
        Package("pypi", "Some_Thing", "1.0", "MIT"),
    ]


def test_a_python_that_no_package_list_names_is_named() -> None:
    image = Image((), "ab", {"config": {"Env": ["PYTHON_VERSION=3.13.1"]}}, ())
    assert packages(archive(), image) == [Package("generic", "python", "3.13.1", "PSF-2.0")]


def test_a_module_that_was_replaced_is_named_as_it_is() -> None:
    listed = "dep\texample.com/a\tv1\th1:\n=>\texample.com/b\tv2\th1:\n"
    assert Package("golang", "example.com/b", "v2") in set(go_modules(program(listed)))
    assert Package("golang", "example.com/a", "v1") not in set(go_modules(program(listed)))
    assert list(go_modules(b"\x7fELF" + bytes(500))) == []


def test_a_package_that_was_removed_is_not_named() -> None:
    assert [package.name for package in debian(STATUS, "debian-13")] == ["base-files"]


def test_a_document_keeps_its_schema_and_is_the_same_for_the_same_image() -> None:
    one = archive()
    [image] = one.images()
    text = document(image, packages(one, image))
    said = json.loads(text)
    assert (said["bomFormat"], said["specVersion"]) == ("CycloneDX", "1.6")
    assert datetime.fromisoformat(said["metadata"]["timestamp"]) < datetime(2026, 1, 3, tzinfo=UTC)
    assert {part["purl"] for part in said["components"]} == {
        "pkg:deb/debian/base-files@13.8%2Bdeb13u7?arch=amd64&distro=debian-13",
        "pkg:golang/caddy@%28devel%29",
        "pkg:golang/example.com/a@v1.2.3",
        "pkg:golang/stdlib@1.26.8",
        "pkg:pypi/some-thing@1.0",
    }
    assert document(image, packages(one, image)) == text


@pytest.mark.parametrize("licence", ["", "unknown"])
def test_a_licence_that_nobody_knows_is_left_out(licence: str) -> None:
    image = Image(("x:1",), "ab", {"created": CREATED}, ())
    [part] = json.loads(document(image, [Package("pypi", "a", "1", licence)]))["components"]
    assert "licenses" not in part


@pytest.mark.parametrize("path", ["lib/apk/db/installed", "usr/lib/apk/db/installed"])
def test_what_alpine_has_installed_is_listed(path: str) -> None:
    of = archive({path: INSTALLED, "etc/os-release": b"ID=alpine\nVERSION_ID=3.22.1\n"})
    [image] = of.images()
    found = packages(of, image)
    assert [(one.kind, one.name, one.version) for one in found] == [
        ("apk", "alpine-baselayout", "3.7.0-r0"),
        ("apk", "musl", "1.2.5-r10"),
    ]
    assert "pkg:apk/alpine/musl@1.2.5-r10?arch=x86_64" in document(image, found)


def test_a_distribution_whose_packages_cannot_be_listed_is_named() -> None:
    of = archive({"etc/os-release": b"ID=other\nVERSION_ID=1\n"})
    with pytest.raises(ValueError, match="x/y:1 is other-1, and lists no package"):
        packages(of, of.images()[0])
