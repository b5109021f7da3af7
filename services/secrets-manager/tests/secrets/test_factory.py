"""Secrets that are made for whoever asks, each of the kind that was asked for."""

import base64
import re
import uuid
from collections.abc import Callable

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from secrets_manager.generate import SecretKind
from secrets_world import World

pytestmark = pytest.mark.anyio


def is_token(value: str, size: int) -> bool:
    """Tell whether it is so many bytes in base64url without padding."""
    padded = value + "=" * (-len(value) % 4)
    return bool(re.fullmatch(r"[\w-]+", value, re.ASCII)) and len(base64.urlsafe_b64decode(padded)) == size


def is_password(value: str, length: int) -> bool:
    """Tell whether it is so many letters and digits, both cases and a digit among them."""
    of_each = all(re.search(kind, value) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    return bool(re.fullmatch(f"[a-zA-Z0-9]{{{length}}}", value)) and of_each


def is_uuid(value: str, _length: int) -> bool:
    read = uuid.UUID(value)
    return (read.version, read.variant, str(read)) == (4, uuid.RFC_4122, value)


def is_private_key(value: str, _length: int) -> bool:
    return isinstance(load_pem_private_key(value.encode(), None), Ed25519PrivateKey)


def is_fernet_key(value: str, _length: int) -> bool:
    return Fernet(value).decrypt(Fernet(value).encrypt(b"a")) == b"a"


KINDS: dict[str, Callable[[str, int], bool]] = {
    "token": is_token,
    "hex": lambda value, size: bool(re.fullmatch(f"[0-9a-f]{{{2 * size}}}", value)),
    "password": is_password,
    "uuid": is_uuid,
    "ed25519": is_private_key,
    "fernet": is_fernet_key,
}


async def test_the_factory_makes_each_kind_as_those_take_it_who_use_it(sm: World) -> None:
    assert KINDS.keys() == set(SecretKind)
    made = []
    for kind, fits in KINDS.items():
        # 32 is the length of those who name none; some kinds have their own, whatever is named.
        for length in (None, 16, 33, 1024):
            wish = {"kind": kind} | ({} if length is None else {"length": length})
            answer = await sm.admin.post("/factory/generate", json=wish)
            made.append(answer.json()["secret"])
            assert fits(made[-1], length or 32), wish
    assert len(set(made)) == len(made)


async def test_without_a_wish_the_factory_makes_a_token(sm: World) -> None:
    for body in (None, {}):
        assert is_token((await sm.admin.post("/factory/generate", json=body)).json()["secret"], 32)
    for length in (15, 1025):
        refused = await sm.admin.post("/factory/generate", json={"length": length})
        assert refused.status_code == 422, length
