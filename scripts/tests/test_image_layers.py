import gzip
import io
import json
import tarfile
from collections.abc import Callable

import pytest
from image_layers import Archive, UnreadableLayerError


def tar(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as written:
        for name, content in files.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(content)
            written.addfile(info, io.BytesIO(content))
    return out.getvalue()


def archive(*layers: bytes) -> Archive:
    config = json.dumps({"config": {"User": "10001:10001"}}).encode()
    names = [f"layer{number}" for number in range(len(layers))]
    manifest = [{"Config": "config", "RepoTags": ["a:1"], "Layers": names}]
    files = {"manifest.json": json.dumps(manifest).encode(), "config": config}
    return Archive(io.BytesIO(tar(**files, **dict(zip(names, layers, strict=True)))))


def everything(of: Archive) -> bytes:
    out = io.BytesIO()
    of.write_all(out)
    return out.getvalue()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "compressed"])
def test_what_a_later_layer_removed_is_found_still(pack: Callable[[bytes], bytes]) -> None:
    one = archive(pack(tar(etc__key=b"a secret")), pack(tar(**{"etc__.wh.key": b""})))
    assert b"a secret" in everything(one)
    [image] = one.images()
    assert list(one.files(image)) == []


def test_a_container_sees_the_newest_of_each_file() -> None:
    one = archive(
        tar(a=b"old", b__c=b"1", b__d=b"2"), tar(**{"a": b"new", "b__.wh..wh..opq": b"", "b__e": b"3"})
    )
    [image] = one.images()
    assert dict(one.texts(image, ("",))) == {"a": b"new", "b/e": b"3"}
    assert image.config["config"]["User"] == "10001:10001"


def test_a_layer_that_cannot_be_unpacked_is_no_absence() -> None:
    with pytest.raises(UnreadableLayerError, match="zstd"):
        everything(archive(b"\x28\xb5\x2f\xfd" + bytes(600)))
