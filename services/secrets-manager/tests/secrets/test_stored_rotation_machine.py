"""What test_rotation_machine.py shows of the rules, shown of what is stored: by the product's own parts over
a real database, which are stopped and started anew in between.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack, ExitStack
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from fountain_common.auth import Caller
from fountain_common.errors import Conflict
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from secrets_manager import repository_rotations, values
from secrets_manager.generate import generate_for
from secrets_manager.holders import HolderKey
from secrets_manager.intents import Intent, Wish
from secrets_manager.models_secrets import RotationRow, SecretVersionRow
from secrets_manager.rotation import HELD, Rotation, RotationState, VersionState
from secrets_world import SERVICE, Clock, HolderClient, World, world
from sqlalchemy import select
from sqlalchemy.orm import Session

T = TypeVar("T")
TTL, OVERLAP, DEADLINE = 90.0, 50.0, 30.0
GRANTEE = "shop"
OPERATOR = Caller("olga", ("operator",), "olga", "key", "jti", ("secrets-manager",), 0.0, 2e9)


@cache
def begun() -> tempfile.TemporaryDirectory[str]:
    """The state that every example begins with: making it anew would be most of the time."""
    folder = tempfile.TemporaryDirectory()

    async def make() -> None:
        async with world(Path(folder.name) / "state") as sm:
            await sm.create()
            await sm.policy(overlap_seconds=OVERLAP, deadline_seconds=DEADLINE)
            assert (await sm.admin.put(f"/secrets/{SERVICE}/grants/{GRANTEE}")).is_success

    (Path(folder.name) / "state").mkdir()
    asyncio.run(make())
    return folder


def read(session: Session) -> tuple[dict[int, VersionState], list[Rotation], set[str]]:
    versions = {row.version: VersionState(row.state) for row in session.scalars(select(SecretVersionRow))}
    rotations = [repository_rotations.to_rotation(row) for row in session.scalars(select(RotationRow))]
    holders = {instance_id for _, _, instance_id in repository_rotations.all_holders(session)}
    return versions, rotations, holders


class StoredSecret(RuleBasedStateMachine):
    """One secret with its holders. Instances know what they really use, beside what they said."""

    instances = Bundle("instances")

    @initialize()
    def begin(self) -> None:
        self.stack = ExitStack()
        scratch = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.folder = Path(shutil.copytree(Path(begun().name) / "state", scratch / "state"))
        self.runner = self.stack.enter_context(asyncio.Runner())
        self.clock = Clock()
        self.holders: dict[int, HolderClient] = {}
        self.keys: dict[int, HolderKey] = {}
        self.using: dict[int, int] = {}
        self.holding: dict[int, set[int]] = {}
        self.last_use: dict[int, float] = {}
        self.cut_off: set[int] = set()  # retired at somebody's word, whoever used it
        self.unheard: set[int] = set()  # activated at somebody's word, whoever held it
        self.silent: set[int] = set()  # instances whose time to live ran out while they live
        self.too_late: set[int] = set()  # came back when what they use was refused already
        self.born = 0
        self.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    def start(self) -> None:
        self.parts = AsyncExitStack()
        entered = self.parts.enter_async_context(world(self.folder, clock=self.clock, ttl=TTL))
        self.sm: World = self.run(entered)
        self.look()

    def look(self) -> None:
        self.versions, self.rotations, self.counted = self.run(self.sm.db.read(read))

    @property
    def active(self) -> int:
        return next(number for number, state in self.versions.items() if state is VersionState.ACTIVE)

    def heard(self) -> list[int]:
        return [one for one in self.using if one not in self.silent | self.too_late]

    def fetch(self, instance: int) -> int:
        """Have an instance read, and return what is active by the answer."""
        document = self.run(self.holders[instance].read()).json()
        self.holding[instance] = {one["version"] for one in document["versions"]}
        self.look()
        return int(document["version"])

    def say(self, instance: int, version: int, phase: str) -> None:
        answer = self.run(self.holders[instance].ack(version, phase))
        assert answer.status_code in {200, 204}, answer.text
        self.look()

    def uses_no_more(self, instance: int) -> None:
        if instance in self.heard():
            self.last_use[self.using[instance]] = self.clock.steady()

    @rule(target=instances, identity=st.sampled_from([SERVICE, GRANTEE]))
    def starts(self, identity: str) -> int:
        self.born += 1
        self.holders[self.born] = self.sm.holder(self.born, identity=identity)
        self.keys[self.born] = HolderKey(SERVICE, identity, self.holders[self.born].instance_id)
        self.using[self.born] = self.fetch(self.born)
        return self.born

    @rule(instance=instances)
    def reads_and_accepts(self, instance: int) -> None:
        if instance not in self.silent:
            self.fetch(instance)
            self.say(instance, max(self.holding[instance]), "accepts")

    @rule(instance=instances)
    def switches_and_says_so(self, instance: int) -> None:
        if instance in self.silent:
            return
        active = self.fetch(instance)
        self.uses_no_more(instance)
        self.too_late.discard(instance)
        self.using[instance] = active
        self.say(instance, active, "uses")

    @rule(instance=instances)
    def is_not_heard_of_for_its_time_to_live(self, instance: int) -> None:
        self.silent.add(instance)
        self.pass_time(TTL / 2)
        self.pass_time(TTL / 2 + 1)
        assert self.keys[instance].instance_id not in self.counted

    @rule(instance=instances)
    def comes_back(self, instance: int) -> None:
        """By the conditional read with which it always asks, so that nobody takes it for a new one."""
        if instance not in self.silent:
            return
        self.silent.discard(instance)
        answer = self.run(self.holders[instance].read(conditional=True))
        assert answer.status_code == 200
        self.holding[instance] = {one["version"] for one in answer.json()["versions"]}
        self.look()
        if self.versions[self.using[instance]] not in HELD:
            self.too_late.add(instance)

    @rule(instance=consumes(instances))
    def dies(self, instance: int) -> None:
        self.uses_no_more(instance)
        assert self.run(self.holders[instance].leave()).is_success
        for known in (self.holders, self.keys, self.using, self.holding):
            known.pop(instance)
        self.silent.discard(instance)
        self.too_late.discard(instance)
        self.look()

    @rule(immediate=st.sampled_from([False] * 9 + [True]))
    def rotate(self, immediate: bool) -> None:
        secrets = self.sm.parts.secrets
        intent = Intent(OPERATOR, immediate=immediate)
        record = secrets.recorder(intent, SERVICE)
        wish = Wish(SERVICE, intent, lambda base: values.rotated(base, {}, None, generate_for), record)
        granted = self.run(secrets.rotating.begin(wish))
        if immediate:
            self.cut_off.update(range(1, granted.done.version))
            self.unheard.add(granted.done.version)
        self.look()

    def pass_time(self, seconds: float) -> None:
        for instance, key in self.keys.items():
            if instance not in self.silent:
                self.sm.parts.presence.renew(key)
        self.run(self.sm.pass_time(seconds))
        self.look()

    @rule(seconds=st.sampled_from([1.0, 29.0, 31.0, 49.0, 51.0]))
    def time_passes(self, seconds: float) -> None:
        self.pass_time(seconds)

    @rule(data=st.data())
    def an_operator_decides(self, data: st.DataObject) -> None:
        if not self.rotations:
            return
        one = data.draw(st.sampled_from(sorted(self.rotations, key=lambda one: one.version)))
        forces = data.draw(st.booleans())
        step = self.sm.parts.rotations.force if forces else self.sm.parts.rotations.abort
        try:
            self.run(step(OPERATOR, one.rotation_id))
        except Conflict:
            return
        if forces and one.activated_at is None:
            self.unheard.add(one.version)
        elif forces:
            self.cut_off.add(one.previous_version)
        self.look()

    @rule()
    def the_service_is_started_anew(self) -> None:
        before = self.versions, self.rotations, self.counted
        self.run(self.parts.aclose())
        self.start()
        assert (self.versions, self.rotations, self.counted) == before
        for instance, holder in self.holders.items():
            holder.client = self.sm.as_(f"{self.keys[instance].identity}:service")

    @invariant()
    def exactly_one_version_is_active_and_one_at_most_is_staged(self) -> None:
        states = list(self.versions.values())
        assert states.count(VersionState.ACTIVE) == 1
        assert states.count(VersionState.STAGED) <= 1

    @invariant()
    def nothing_that_an_instance_uses_is_refused(self) -> None:
        for version in (self.using[one] for one in self.heard()):
            assert self.versions[version] in HELD or version in self.cut_off

    @invariant()
    def what_one_instance_uses_every_other_accepts(self) -> None:
        for version in {self.using[one] for one in self.heard()} - self.unheard - self.cut_off:
            for instance in self.heard():
                assert version in self.holding[instance] or self.using[instance] > version

    @invariant()
    def nothing_retires_before_its_overlap_since_the_last_use(self) -> None:
        for one in self.rotations:
            if one.state is RotationState.RETIRED and one.previous_version not in self.cut_off:
                assert one.retired_at is not None
                assert one.retired_at >= self.last_use.get(one.previous_version, 0.0) + OVERLAP

    @invariant()
    def versions_and_rotations_agree(self) -> None:
        for one in self.rotations:
            if one.state is RotationState.STAGED:
                assert self.versions[one.version] is VersionState.STAGED
            if one.state in {RotationState.ACTIVE, RotationState.DRAINING}:
                assert self.versions[one.previous_version] is VersionState.DRAINING

    @invariant()
    def whoever_is_heard_is_counted(self) -> None:
        heard = {self.keys[one].instance_id for one in self.using if one not in self.silent}
        assert heard <= self.counted

    def teardown(self) -> None:
        """Once all are heard and time has passed, every rotation has ended."""
        if not hasattr(self, "parts"):
            return
        try:
            for instance in sorted(self.silent):
                self.comes_back(instance)
            for instance in self.holders:
                self.reads_and_accepts(instance)
            for instance in self.holders:
                self.switches_and_says_so(instance)
            for _ in range(2):
                self.pass_time(OVERLAP + 1)
            assert not [one for one in self.rotations if one.is_open]
        finally:
            self.run(self.parts.aclose())
            self.stack.close()


TestStoredSecret = StoredSecret.TestCase
# Without shrinking, which takes minutes here: a story of 25 steps can be read.
TestStoredSecret.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, phases=[Phase.reuse, Phase.generate]
)


def test_what_an_instance_uses_that_was_away_over_a_restart_is_not_retired_once_it_is_back() -> None:
    secret = StoredSecret()
    secret.begin()
    try:
        instance = secret.starts(SERVICE)
        secret.is_not_heard_of_for_its_time_to_live(instance)
        secret.the_service_is_started_anew()
        secret.rotate(immediate=False)
        secret.comes_back(instance)
        secret.time_passes(OVERLAP + 1)
        secret.nothing_that_an_instance_uses_is_refused()
        secret.switches_and_says_so(instance)
        secret.time_passes(OVERLAP + 1)
        assert secret.versions[1] is VersionState.RETIRED
    finally:
        secret.teardown()
