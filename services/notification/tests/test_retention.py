"""Which events are kept."""

import pytest
from notification.retention import Rule, cuts, parse_rules, rule_for


def test_the_first_rule_that_matches_counts() -> None:
    rules = parse_rules("secret.>=90d,link.*=1d:10,>=7d:1000")
    assert rule_for("secret.rotated", rules) == Rule("secret.>", 90 * 86400)
    assert rule_for("link.created", rules) == Rule("link.*", 86400, 10)
    assert rule_for("link.created.twice", rules) == Rule(">", 7 * 86400, 1000)


@pytest.mark.parametrize("raw", ["", "secret.>=90d", ">", ">=x", ">=1d:", ">=1d:many", "=1d"])
def test_what_is_no_rule_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_rules(raw)


def test_age_becomes_a_moment() -> None:
    [cut] = cuts(["link.created"], parse_rules(">=1h:5"), now=7200)
    assert (cut.type, cut.stored_before, cut.count) == ("link.created", 3600, 5)
