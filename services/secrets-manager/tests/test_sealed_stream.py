import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secrets_manager.sealed_stream import NotOpenedError, OpeningReader, SealingWriter

PASSPHRASE = "correct horse battery"
BIG = b"0123456789abcdef" * 150_000  # three chunks


def sealed(content):
    target = io.BytesIO()
    writer = SealingWriter(target, PASSPHRASE)
    writer.write(content)
    writer.finish()
    return target.getvalue()


def opened(raw, passphrase=PASSPHRASE):
    return io.BufferedReader(OpeningReader(io.BytesIO(raw), passphrase)).read()


@pytest.mark.parametrize("content", [b"", b"x", BIG])
def test_what_was_sealed_opens(content):
    assert opened(sealed(content)) == content


def test_the_content_cannot_be_read_in_it():
    assert b"0123456789abcdef" not in sealed(BIG)


def test_another_passphrase_does_not_open_it():
    with pytest.raises(NotOpenedError, match="passphrase"):
        opened(sealed(b"x"), "another passphrase")


@pytest.mark.parametrize("cut", [1, 100, 1024 * 1024, 2 * 1024 * 1024])
def test_a_backup_that_is_cut_off_does_not_open(cut):
    with pytest.raises(NotOpenedError):
        opened(sealed(BIG)[:-cut])


def test_a_chunk_cannot_be_left_out():
    raw = sealed(BIG)
    header, rest = raw.split(b"\n", 1)
    chunk = 4 + 12 + 1024 * 1024 + 16
    with pytest.raises(NotOpenedError):
        opened(header + b"\n" + rest[chunk:])
    with pytest.raises(NotOpenedError):
        opened(header + b"\n" + rest[:chunk] + rest[2 * chunk :])
    with pytest.raises(NotOpenedError):
        opened(header + b"\n" + rest[: 2 * chunk])


RAW = sealed(b"some content")


@settings(deadline=None, max_examples=25)
@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_no_altered_byte_goes_unnoticed(index, change):
    altered = bytearray(RAW)
    altered[index] ^= change
    with pytest.raises(NotOpenedError):
        opened(bytes(altered))
