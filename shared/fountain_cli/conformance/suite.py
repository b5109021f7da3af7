"""The rules, by their numbers in `docs/rules.md`."""

from collections.abc import Sequence

import httpx2

from fountain_cli.conformance import (
    access,
    delivery,
    document,
    layout,
    logs,
    manners,
    pages,
    presence,
    rotation,
    secrecy,
)
from fountain_cli.conformance.findings import Finding, Outcome, Rule
from fountain_cli.conformance.target import Target

RULES = (
    Rule("12", "layout", layout.layout),
    Rule("1", "landing page", pages.landing),
    Rule("2", "health", pages.health),
    Rule("3", "metrics", pages.metrics),
    Rule("4", "valid OpenAPI 3.0.3", document.valid),
    Rule("4", "operationIds", document.operation_ids),
    Rule("4", "texts", document.texts),
    Rule("4", "declared errors and security", document.declared_errors),
    Rule("4", "documentation page", pages.documentation),
    Rule("5", "no entry without a token", access.without_token),
    Rule("5", "no entry with a forged token", access.forged_token),
    Rule("5", "no entry with a forged API key", access.forged_key),
    Rule("5", "no entry with a token for another service", access.foreign_token),
    Rule("5", "no entry without a permission", access.powerless_token),
    Rule("5", "no credentials in URLs", access.credentials_in_urls),
    Rule("6", "a place for events", delivery.documented),
    Rule("6", "events received in every form", delivery.received),
    Rule("6", "events from deliverers alone", delivery.deliverers),
    Rule("7", "registered with a lease", presence.registered),
    Rule("7", "deregistered when stopped", presence.deregisters),
    Rule("8", "says that it started", presence.told_of_its_start),
    Rule("8", "says that it stops", presence.told_of_its_stop),
    Rule("8", "says how it is", presence.told_how_it_is),
    Rule("9", "request ids", manners.request_ids),
    Rule("9", "logs as JSON", logs.lines),
    Rule("9", "requests in the log", logs.request_lines),
    Rule("10", "errors as problems", manners.problems),
    Rule("10", "bodies", manners.bodies),
    Rule("10", "body limit", manners.limits),
    Rule("11", "errors repeat nothing", secrecy.errors),
    Rule("11", "logs repeat nothing", secrecy.logs),
    Rule("13", "rotation honoured", rotation.honoured),
    Rule("11", "values stay secret", secrecy.values),
)


def check(target: Target, rules: Sequence[Rule] = RULES) -> list[Outcome]:
    """What became of every rule; where a service does not answer, that is one finding, and the last."""
    outcomes: list[Outcome] = []
    for rule in rules:
        try:
            outcomes.append(rule.outcome(target))
        except httpx2.TransportError as error:
            reason = f"does not answer ({type(error).__name__})"
            where = str(target.client.base_url)
            away = Finding(rule.number, where, reason, "start it, or check the address")
            outcomes.append(Outcome(rule.number, rule.title, (away,)))
            unseen = rules[len(outcomes) :]
            return outcomes + [Outcome(one.number, one.title, not_checked=reason) for one in unseen]
    return outcomes
