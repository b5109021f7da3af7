"""Whatever holders, operators and the clock do, in whatever order: what is always true of a secret."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from secrets_manager import rotation as rules
from secrets_manager.rotation import Change, Holder, NotPossibleError, Rotation, RotationState, VersionState

OVERLAP, DEADLINE = 50.0, 30.0


class Secret(RuleBasedStateMachine):
    """One secret with its holders. Instances know what they really use, beside what they said."""

    instances = Bundle("instances")

    @initialize()
    def begin(self) -> None:
        self.now = 1000.0
        self.rotations: dict[int, Rotation] = {}
        self.versions = {1: VersionState.ACTIVE}
        self.holders: dict[int, Holder] = {}
        self.using: dict[int, int] = {}
        self.holding: dict[int, set[int]] = {}
        self.last_use: dict[int, float] = {}
        self.cut_off: set[int] = set()  # retired at somebody's word, whoever used it
        self.unheard: set[int] = set()  # activated at somebody's word, whoever held it
        self.born = 0

    @property
    def active(self) -> int:
        return next(number for number, state in self.versions.items() if state is VersionState.ACTIVE)

    def take(self, changes: list[Change]) -> None:
        for change in changes:
            self.rotations[change.rotation.version] = change.rotation
            self.versions.update(change.versions)

    def advance(self) -> None:
        held = list(self.holders.values())
        open_ones = [one for one in self.rotations.values() if one.is_open]
        self.take(rules.advance(open_ones, held, self.now))
        again = [one for one in self.rotations.values() if one.is_open]
        assert rules.advance(again, held, self.now) == [], "a second look at the same moment finds more to do"

    def accepted(self) -> set[int]:
        return {number for number, state in self.versions.items() if state in rules.HELD}

    @rule(target=instances)
    def starts(self) -> int:
        self.born += 1
        self.holders[self.born] = Holder(str(self.born), "notification", self.active, self.active)
        self.using[self.born] = self.active
        self.holding[self.born] = self.accepted()
        self.advance()
        return self.born

    @rule(instance=instances)
    def reads_and_accepts(self, instance: int) -> None:
        self.holding[instance] = self.accepted()
        newest = max(self.holding[instance])
        self.holders[instance] = self.holders[instance].acknowledge(newest, uses=False)
        self.advance()

    @rule(instance=instances)
    def switches_and_says_so(self, instance: int) -> None:
        if self.active in self.holding[instance]:
            self.last_use[self.using[instance]] = self.now
            self.using[instance] = self.active
            self.holders[instance] = self.holders[instance].acknowledge(self.active, uses=True)
            self.advance()

    @rule(instance=consumes(instances))
    def dies(self, instance: int) -> None:
        self.last_use[self.using[instance]] = self.now
        for known in (self.holders, self.using, self.holding):
            del known[instance]
        self.advance()

    @rule(immediate=st.booleans())
    def rotate(self, immediate: bool) -> None:
        version = max(self.versions) + 1
        for one in list(self.rotations.values()):
            if one.state is RotationState.STAGED:
                self.take([rules.supersede(one, self.now)])
        self.versions[version] = VersionState.STAGED
        begun = Rotation(
            str(version), "notification", version, self.active, RotationState.STAGED, False,
            self.now, self.now + DEADLINE, DEADLINE, OVERLAP,
        )  # fmt: skip
        self.rotations[version] = begun
        if immediate:
            older = [one for one in self.rotations.values() if one.is_open and one is not begun]
            self.take(rules.immediately(begun, older, self.now))
            self.cut_off.update(range(1, version))
            self.unheard.add(version)
        self.advance()

    @rule(seconds=st.sampled_from([1.0, 29.0, 31.0, 49.0, 51.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.advance()

    @rule(data=st.data())
    def an_operator_decides(self, data: st.DataObject) -> None:
        if not self.rotations:
            return
        one = self.rotations[data.draw(st.sampled_from(sorted(self.rotations)))]
        step = data.draw(st.sampled_from([rules.force, rules.abort]))
        try:
            self.take([step(one, self.now)])
        except NotPossibleError:
            return
        if step is rules.force:
            (self.unheard if one.activated_at is None else self.cut_off).add(
                one.version if one.activated_at is None else one.previous_version
            )
        self.advance()

    @invariant()
    def exactly_one_version_is_active_and_one_at_most_is_staged(self) -> None:
        states = list(self.versions.values())
        assert states.count(VersionState.ACTIVE) == 1
        assert states.count(VersionState.STAGED) <= 1

    @invariant()
    def nothing_that_an_instance_uses_is_refused(self) -> None:
        for version in self.using.values():
            assert self.versions[version] in rules.HELD or version in self.cut_off

    @invariant()
    def what_one_instance_uses_every_other_accepts(self) -> None:
        for version in set(self.using.values()) - self.unheard - self.cut_off:
            for instance, held in self.holding.items():
                assert version in held or self.using[instance] > version

    @invariant()
    def nothing_retires_before_its_overlap_since_the_last_use(self) -> None:
        for one in self.rotations.values():
            if one.state is RotationState.RETIRED and one.previous_version not in self.cut_off:
                used = self.last_use.get(one.previous_version, 0.0)
                assert one.retired_at is not None
                assert one.retired_at >= used + OVERLAP

    @invariant()
    def versions_and_rotations_agree(self) -> None:
        for one in self.rotations.values():
            if one.state is RotationState.STAGED:
                assert self.versions[one.version] is VersionState.STAGED
            if one.state in {RotationState.ACTIVE, RotationState.DRAINING}:
                assert self.versions[one.previous_version] is VersionState.DRAINING

    @invariant()
    def whoever_is_awaited_is_named(self) -> None:
        for one in self.rotations.values():
            if one.overdue:
                assert any(one.is_late(holder) for holder in self.holders.values())

    def teardown(self) -> None:
        """Once all are heard and time has passed, every rotation has ended."""
        if not hasattr(self, "rotations"):
            return
        for instance in self.holders:
            self.holders[instance] = replace(self.holders[instance], accepts=10**6, uses=10**6)
        for _ in range(2):
            self.advance()
            self.now += OVERLAP
        self.advance()
        assert not [one for one in self.rotations.values() if one.is_open]


TestSecret = Secret.TestCase
TestSecret.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
