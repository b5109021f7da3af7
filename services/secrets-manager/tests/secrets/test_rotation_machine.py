"""Whatever holders, operators and the clock do, in whatever order: what is always true of a secret."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from secrets_manager import rotation as rules
from secrets_manager import transitions
from secrets_manager.rotation import (
    Change,
    Holder,
    NotPossibleError,
    Rotation,
    RotationEvent,
    RotationState,
    VersionState,
)

OWNER = "notification"
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
        self.identities: dict[int, str] = {}
        self.using: dict[int, int] = {}
        self.holding: dict[int, set[int]] = {}
        self.last_use: dict[int, float] = {}
        self.cut_off: set[int] = set()  # retired at somebody's word, whoever used it
        self.unheard: set[int] = set()  # activated at somebody's word, whoever held it
        self.silent: set[int] = set()  # instances whose time to live ran out while they live
        self.too_late: set[int] = set()  # came back when what they use was refused already
        self.said: dict[int, set[tuple[int, bool]]] = {}
        self.waiting_since: dict[int, float] = {}  # by version, while somebody is late: since when
        self.born = 0

    @property
    def active(self) -> int:
        return next(number for number, state in self.versions.items() if state is VersionState.ACTIVE)

    def take(self, changes: list[Change]) -> None:
        for change in changes:
            if change.event is RotationEvent.OVERDUE:
                since = self.waiting_since.get(change.rotation.version, self.now)
                assert self.now >= since + DEADLINE, "nobody had a whole deadline to answer in"
            self.rotations[change.rotation.version] = change.rotation
            self.versions.update(change.versions)

    @property
    def open_ones(self) -> list[Rotation]:
        return [one for one in self.rotations.values() if one.is_open]

    def advance(self) -> None:
        self.take(rules.advance(self.open_ones, list(self.holders.values()), self.now))
        self.nothing_is_left_to_do()

    def nothing_is_left_to_do(self) -> None:
        left = rules.advance(self.open_ones, list(self.holders.values()), self.now)
        assert left == [], "a second look at the same moment finds more to do"
        self.waiting_since = {
            one.version: self.waiting_since.get(one.version, self.now)
            for one in self.open_ones
            if any(one.is_late(holder) for holder in self.holders.values())
        }

    def accepted(self) -> set[int]:
        return {number for number, state in self.versions.items() if state in rules.HELD}

    @rule(target=instances, identity=st.sampled_from([OWNER, "shop", "till"]))
    def starts(self, identity: str = OWNER) -> int:
        """An instance of the service whose secret it is, or of one to which it was granted."""
        self.born += 1
        self.identities[self.born] = identity
        self.holders[self.born] = Holder(str(self.born), identity, self.active, self.active)
        self.using[self.born] = self.active
        self.holding[self.born] = self.accepted()
        self.said[self.born] = set()
        self.advance()
        return self.born

    def acknowledge(self, instance: int, version: int, *, uses: bool) -> None:
        self.said[instance].add((version, uses))
        self.holders[instance] = self.holders[instance].acknowledge(version, uses=uses)
        self.advance()

    def heard(self) -> list[int]:
        return [one for one in self.using if one not in self.silent | self.too_late]

    @rule(instance=instances)
    def reads_and_accepts(self, instance: int) -> None:
        if instance in self.silent:
            return
        self.holding[instance] = self.accepted()
        self.acknowledge(instance, max(self.holding[instance]), uses=False)

    @rule(instance=instances)
    def switches_and_says_so(self, instance: int) -> None:
        if instance not in self.silent and self.active in self.holding[instance]:
            self.uses_no_more(instance)
            self.too_late.discard(instance)
            self.using[instance] = self.active
            self.acknowledge(instance, self.active, uses=True)

    def uses_no_more(self, instance: int) -> None:
        if instance in self.heard():
            self.last_use[self.using[instance]] = self.now

    @rule(instance=instances, data=st.data())
    def an_old_acknowledgement_arrives(self, instance: int, data: st.DataObject) -> None:
        if instance in self.silent or not self.said[instance]:
            return
        version, uses = data.draw(st.sampled_from(sorted(self.said[instance])))
        self.acknowledge(instance, version, uses=uses)

    @rule(instance=instances)
    def is_not_heard_of_for_its_time_to_live(self, instance: int) -> None:
        self.holders.pop(instance, None)
        self.silent.add(instance)
        self.advance()

    @rule(instance=instances)
    def comes_back(self, instance: int) -> None:
        """What it uses now is what it used: the service cannot know it, and counts it as using nothing."""
        if instance not in self.silent:
            return
        self.silent.discard(instance)
        if self.versions[self.using[instance]] not in rules.HELD:
            self.too_late.add(instance)
        self.holders[instance] = Holder(str(instance), self.identities[instance], 0, 0)
        self.holding[instance] = self.accepted()
        self.advance()

    @rule(instance=consumes(instances))
    def dies(self, instance: int) -> None:
        self.uses_no_more(instance)
        for known in (self.holders, self.using, self.holding, self.said):
            known.pop(instance, None)
        self.silent.discard(instance)
        self.too_late.discard(instance)
        self.advance()

    @rule(immediate=st.sampled_from([False] * 9 + [True]))
    def rotate(self, immediate: bool) -> None:
        version = max(self.versions) + 1
        begun = Rotation(
            str(version), OWNER, version, self.active, RotationState.STAGED, False,
            self.now, self.now + DEADLINE, DEADLINE, OVERLAP,
        )  # fmt: skip
        if immediate:
            self.cut_off.update(range(1, version))
            self.unheard.add(version)
        self.versions[version] = VersionState.STAGED
        held = list(self.holders.values())
        self.take(transitions.begin(begun, self.open_ones, held, immediate=immediate))
        self.nothing_is_left_to_do()

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
        for version in (self.using[one] for one in self.heard()):
            assert self.versions[version] in rules.HELD or version in self.cut_off

    @invariant()
    def what_one_instance_uses_every_other_accepts(self) -> None:
        for version in {self.using[one] for one in self.heard()} - self.unheard - self.cut_off:
            for instance in self.heard():
                assert version in self.holding[instance] or self.using[instance] > version

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
            self.holders[instance] = self.holders[instance]._replace(accepts=10**6, uses=10**6)
        for _ in range(2):
            self.advance()
            self.now += OVERLAP
        self.advance()
        assert not [one for one in self.rotations.values() if one.is_open]


TestSecret = Secret.TestCase
TestSecret.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_what_an_instance_uses_that_was_away_is_not_retired_once_it_is_back() -> None:
    secret = Secret()
    secret.begin()
    instance = secret.starts()
    secret.is_not_heard_of_for_its_time_to_live(instance)
    secret.rotate(immediate=False)
    secret.comes_back(instance)
    secret.time_passes(OVERLAP + 1)
    secret.nothing_that_an_instance_uses_is_refused()
    secret.switches_and_says_so(instance)
    secret.time_passes(OVERLAP + 1)
    assert secret.versions[1] is VersionState.RETIRED
