"""When each instance said which phase: pure, from the rotation as it is seen again and again."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Phases:
    """The moments, in seconds since the rotation was asked for, at which things were first seen.

    Attributes:
        version: the version that the rotation brings.
        states: the rotation's states.
        accepted, used: the instances, by id, that said so.
    """

    version: int
    states: dict[str, float] = field(default_factory=dict)
    accepted: dict[str, float] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=dict)

    def see(self, rotation: dict[str, Any], moment: float) -> list[str]:
        """Take in what the rotation says at this moment; return a sentence for everything that is new."""
        news = []
        for holder in rotation.get("holders", []):
            instance = holder["instance_id"]
            for phase, seen in (("accepts", self.accepted), ("uses", self.used)):
                if (holder.get(phase) or 0) >= self.version and instance not in seen:
                    seen[instance] = moment
                    news.append(f"instance {instance[:8]} {phase} version {self.version}")
        state = rotation["state"]
        if state not in self.states:
            self.states[state] = moment
            news.append(f"the rotation is {state}")
        return news
