"""The pure rules of rotations: whoever acknowledges what, and whenever."""

from typing import Any

from hypothesis import strategies as st
from secrets_manager import rotation as rules
from secrets_manager import transitions
from secrets_manager.rotation import Change, Holder, Rotation, RotationEvent, RotationState
from test_rules import ForAll, rule

__all__ = ["rule"]

OVERLAP, DEADLINE = 30.0, 60.0
HOLDERS = 3
steps = st.lists(
    st.one_of(
        st.tuples(st.just("rotate"), st.booleans()),
        st.tuples(st.just("acknowledge"), st.integers(0, HOLDERS - 1), st.integers(1, 6), st.booleans()),
        st.tuples(st.just("pass"), st.sampled_from([0.0, 1.0, OVERLAP, DEADLINE, 1000.0, -50.0])),
        st.tuples(st.just("leave"), st.integers(0, HOLDERS - 1)),
        st.tuples(st.just("come"), st.integers(0, HOLDERS - 1)),
    ),
    max_size=30,
)


class Secret:
    """A secret, its open rotations, and who holds it."""

    def __init__(self) -> None:
        self.now, self.newest, self.active = 1_000_000.0, 1, 1
        self.open: dict[str, Rotation] = {}
        self.holders = {number: Holder(str(number), "shop", 1, 1) for number in range(HOLDERS)}

    def rotate(self, *, immediate: bool) -> None:
        self.newest += 1
        rotation = Rotation(
            f"r{self.newest}",
            "shop",
            self.newest,
            self.active,
            RotationState.STAGED,
            False,
            self.now,
            self.now + DEADLINE,
            DEADLINE,
            OVERLAP,
        )
        held = list(self.holders.values())
        changes = transitions.begin(rotation, list(self.open.values()), held, immediate=immediate)
        self.take([Change(rotation), *changes], asked=not immediate)

    def take(self, changes: list[Change], *, asked: bool = True) -> None:
        """Apply steps; those that wait for holders are looked at as they are taken."""
        for rotation, versions, event in changes:
            if asked and event is RotationEvent.ROTATED:
                assert all(one.accepts >= rotation.version for one in self.holders.values())
            if asked and event is RotationEvent.RETIRED:
                assert all(one.uses >= rotation.version for one in self.holders.values())
                assert rotation.draining_since is not None
                assert self.now >= rotation.draining_since + OVERLAP
            self.open[rotation.rotation_id] = rotation
            if not rotation.is_open:
                del self.open[rotation.rotation_id]
            for version, state in versions:
                if state == "active":
                    self.active = version

    def advance(self) -> None:
        held = list(self.holders.values())
        self.take(rules.advance(self.open.values(), held, self.now))
        assert rules.advance(self.open.values(), held, self.now) == []
        staged = [one for one in self.open.values() if one.state is RotationState.STAGED]
        assert len(staged) <= 1
        for one in self.open.values():
            moment = rules.next_moment(one, held)
            # What the clock will do is known beforehand; else somebody is waited for.
            assert moment is not None or any(one.is_late(holder) for holder in held)

    def do(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("rotate", immediate):
                self.rotate(immediate=immediate)
            case ("acknowledge", number, version, uses) if number in self.holders:
                known = min(version, self.newest)
                # Nobody can use what is not active yet.
                uses = uses and known <= self.active
                self.holders[number] = self.holders[number].acknowledge(known, uses=uses)
            case ("pass", seconds):
                self.now += seconds
            case ("leave", number):
                self.holders.pop(number, None)
            case ("come", number) if number not in self.holders:
                self.holders[number] = Holder(str(number), "shop", self.active, self.active)


def test_nothing_is_activated_or_retired_before_its_time_whoever_comes_and_goes(rule: ForAll) -> None:
    def check(taken: list[tuple[Any, ...]]) -> None:
        secret = Secret()
        for step in taken:
            secret.do(step)
            secret.advance()
        # Once everybody is on the newest, and time has passed, nothing is open any more.
        for _ in range(4):
            for number, holder in secret.holders.items():
                secret.holders[number] = holder.acknowledge(
                    secret.newest, uses=secret.active == secret.newest
                )
            secret.advance()
            secret.now += OVERLAP
            secret.advance()
        assert not secret.open
        assert secret.active == secret.newest

    rule(steps, do=check)
