"""What every service keeps (design, section 3), as an executable suite over a running service, black box.

It knows the service by its URL alone, so that one written in another language is checked as well.
"""

from fountain_cli.conformance.findings import Finding, Rule
from fountain_cli.conformance.suite import RULES, check
from fountain_cli.conformance.target import Target, Tokens

__all__ = ["RULES", "Finding", "Rule", "Target", "Tokens", "check"]
