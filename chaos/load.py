"""What goes on while parts are broken: rotations of secrets and signing keys, publishes, lookups, links."""

import asyncio
import hashlib
import json
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import httpx2
import jwt

from chaos.history import Acknowledged, Link, NewSigningKey, NewVersion, Opening
from chaos.scene import CONSUMER, GATEWAY, MANAGER, NOTIFICATION, Scene

ROTATED = (CONSUMER, NOTIFICATION, CONSUMER, "two-factor", CONSUMER, GATEWAY, CONSUMER, "action")
"""Whose secrets rotate, in turns."""
DATA_KEYS = (NOTIFICATION, "two-factor")
"""Who seals data under a key of its own, which then rotates too: everything is sealed anew."""
TARGET = "https://example.com/a?b=c"
PUBLISHERS = 2
_AGAIN_SECONDS = 0.5
_SIGNING_KEY_SECONDS = 75.0
"""A signing key signs a minute after it was published; until then no other is made."""
_LINK_SECONDS = 840.0
"""Links live 15 minutes."""


def fingerprint(values: Mapping[str, str]) -> str:
    """Return what stands for the values of a secret: the values themselves are not kept."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


class Load:
    """Workers that use the platform until they are told to stop, and finish what they have begun.

    Args:
        scene: the platform.
        seed: of everything that is left to chance.
    """

    def __init__(self, scene: Scene, seed: int) -> None:
        self._scene, self._history = scene, scene.history
        self._rng = random.Random(seed)
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Work until `stop`."""
        workers: list[Callable[[], Awaitable[None]]] = [
            self._rotate, self._rotate_signing_key, self._act, self._link, self._look_up, self._read,
            self._ask_peer,
        ]  # fmt: skip
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(self._until_stopped(worker))
            for number in range(PUBLISHERS):
                group.create_task(self._publish(number))

    def stop(self) -> None:
        """Begin nothing new."""
        self._stop.set()

    async def _until_stopped(self, worker: Callable[[], Awaitable[None]]) -> None:
        while not self._stop.is_set():
            await worker()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds * self._rng.uniform(0.5, 1.5)):
                await self._stop.wait()
        except TimeoutError:
            return

    async def _rotate(self) -> None:
        for service in ROTATED:
            if self._stop.is_set():
                return
            await self._rotate_one(service)
            await self._pause(2.0)

    async def _rotate_one(self, service: str) -> None:
        keys = {"keys": ["JWT_SECRET", "DATA_KEY"]} if service in DATA_KEYS else {}
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        while True:
            answer = await self._scene.ask(
                "rotate", "POST", MANAGER, f"/secrets/{service}/rotate", headers=headers, json=keys
            )
            if answer is not None:
                break
            await asyncio.sleep(_AGAIN_SECONDS)
        given = answer.json()
        made = NewVersion(service, given["version"], fingerprint(given["secrets"]), given["rotation_id"])
        self._history.versions.append(made)

    async def _rotate_signing_key(self) -> None:
        """Have the next key of tokens announced; whoever asks again meanwhile is told of the same one."""
        while True:
            answer = await self._scene.ask(
                "rotate a signing key", "POST", MANAGER, "/signing-keys/rotate", idempotent=False
            )
            if answer is not None:
                break
            await asyncio.sleep(_AGAIN_SECONDS)
        given = answer.json()
        kid, signs_from = given["kid"], datetime.fromisoformat(given["signs_from"]).timestamp()
        answer = await self._scene.ask(
            "read the signing keys", "GET", MANAGER, "/.well-known/jwks.json", anonymous=True
        )
        in_time = answer is not None and time.time() < signs_from
        published = kid in {key["kid"] for key in answer.json()["keys"]} if answer and in_time else None
        self._history.signing_keys.append(NewSigningKey(kid, signs_from, published))
        await self._pause(_SIGNING_KEY_SECONDS)

    async def _publish(self, publisher: int) -> None:
        """Publish one event after the other: the next is sent once this one is acknowledged."""
        number = 0
        while not self._stop.is_set():
            number += 1
            name = f"{publisher}-{number}"
            event = {"type": "chaos.note", "subject": f"publisher-{publisher}", "data": {"number": name}}
            headers = {"Idempotency-Key": secrets.token_hex(16)}
            while True:
                answer = await self._scene.ask(
                    "publish", "POST", NOTIFICATION, "/notifications", headers=headers, json=event
                )
                if answer is not None:
                    break
                await asyncio.sleep(_AGAIN_SECONDS)
            self._history.acknowledged.append(Acknowledged(f"chaos.note:{answer.json()['id']}", "direct"))
            await self._pause(0.2)

    async def _act(self) -> None:
        """Add an action: its service tells of it through its outbox."""
        body = {"description": "Look what is left.", "characterId": 1}
        answer = await self._scene.ask(
            "add an action", "POST", "action", "/actions", json=body, idempotent=False
        )
        if answer is not None:
            self._history.acknowledged.append(
                Acknowledged(f"action.created:{answer.json()['actionId']}", "outbox")
            )
        await self._pause(0.5)

    async def _link(self) -> None:
        answer = await self._scene.ask(
            "sign a link", "POST", CONSUMER, "/links",
            json={"target": TARGET, "ttl_seconds": 900}, idempotent=False,
        )  # fmt: skip
        if answer is not None:
            token = str(answer.json()["token"])
            version = int(jwt.get_unverified_header(token)["kid"])
            self._history.links.append(Link(token, version, time.time()))
        links = self._history.links
        if links:
            recent = links[-40:]
            chosen = {links[-1], self._rng.choice(recent), self._rng.choice(recent)}
            await asyncio.gather(*(open_everywhere(self._scene, link) for link in chosen))
        await self._pause(0.3)

    async def _look_up(self) -> None:
        service = self._rng.choice((CONSUMER, NOTIFICATION, MANAGER, "action"))
        await self._scene.ask("look up", "GET", GATEWAY, f"/lookup/{service}", also=(service,))
        await self._pause(0.2)

    async def _read(self) -> None:
        await self._scene.ask("read a secret", "GET", MANAGER, f"/secrets/{CONSUMER}")
        await self._pause(0.5)

    async def _ask_peer(self) -> None:
        """Have a service ask another one, which it finds by lookup."""
        await self._scene.ask("ask a peer", "GET", CONSUMER, f"/peers/{NOTIFICATION}", also=(NOTIFICATION,))
        await self._pause(0.7)


def is_about_a_link(answer: httpx2.Response) -> bool:
    """Tell whether this is the consumer's word on a link: who finds no consumer answers 404 as well, and so
    does another service at the address where one was.
    """
    if answer.status_code != 404:
        return answer.status_code in (307, 410)
    try:
        return "This link is not valid" in str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return False


async def open_everywhere(scene: Scene, link: Link) -> None:
    """Open a link at each replica and through the edge, and write down what each answers."""
    if time.time() > link.signed_at + _LINK_SECONDS:
        return
    path = f"/links/{link.token}"

    async def at_the_edge() -> None:
        began = time.time()
        answer = await scene.ask("open a link", "GET", CONSUMER, path, expect=is_about_a_link)
        if answer is not None:
            scene.history.openings.append(
                Opening("the edge", link.version, answer.status_code, began, time.time())
            )

    async def at(number: int) -> None:
        part, began = scene.instances[CONSUMER][number], time.time()
        answer = await scene.ask_part("open a link at a replica", part, path, expect=is_about_a_link)
        if answer is not None:
            scene.history.openings.append(
                Opening(str(part), link.version, answer.status_code, began, time.time())
            )

    await asyncio.gather(at_the_edge(), *(at(number) for number in range(len(scene.instances[CONSUMER]))))
