"""What every service keeps, as an executable suite over a running service, black box.

It knows the service by its URL alone, so that one written in another language is checked as well. Rules that
need more, such as the platform around it, its logs or its sources, are checked where that is within reach;
where it is not they are reported as not checked, with the reason.
"""

from fountain_cli.conformance.findings import Finding, Outcome, Rule
from fountain_cli.conformance.missing import NotChecked
from fountain_cli.conformance.platform import Ask, Keeper, Platform
from fountain_cli.conformance.suite import RULES, check
from fountain_cli.conformance.target import Target, Tokens

__all__ = [
    "RULES",
    "Ask",
    "Finding",
    "Keeper",
    "NotChecked",
    "Outcome",
    "Platform",
    "Rule",
    "Target",
    "Tokens",
    "check",
]
