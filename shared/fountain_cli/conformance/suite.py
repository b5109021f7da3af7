"""The rules in the order of the design."""

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
    Rule("2", "layout", layout.layout),
    Rule("3.1", "landing page", pages.landing),
    Rule("3.2", "health", pages.health),
    Rule("3.3", "metrics", pages.metrics),
    Rule("3.4", "valid OpenAPI 3.0.3", document.valid),
    Rule("3.4", "operationIds", document.operation_ids),
    Rule("3.4", "texts", document.texts),
    Rule("3.4", "declared errors and security", document.declared_errors),
    Rule("3.4", "documentation page", pages.documentation),
    Rule("3.5", "no entry without a token", access.without_token),
    Rule("3.5", "no entry with a forged token", access.forged_token),
    Rule("3.5", "no entry with a forged API key", access.forged_key),
    Rule("3.5", "no entry with a token for another service", access.foreign_token),
    Rule("3.5", "no entry without a permission", access.powerless_token),
    Rule("3.5", "no credentials in URLs", access.credentials_in_urls),
    Rule("3.6", "a place for events", delivery.documented),
    Rule("3.6", "events received in every form", delivery.received),
    Rule("3.6", "events from deliverers alone", delivery.deliverers),
    Rule("3.7", "registered with a lease", presence.registered),
    Rule("3.7", "deregistered when stopped", presence.deregisters),
    Rule("3.8", "says that it started", presence.told_of_its_start),
    Rule("3.8", "says that it stops", presence.told_of_its_stop),
    Rule("3.8", "says how it is", presence.told_how_it_is),
    Rule("3.9", "request ids", manners.request_ids),
    Rule("3.9", "logs as JSON", logs.lines),
    Rule("3.9", "requests in the log", logs.request_lines),
    Rule("3.10", "errors as problems", manners.problems),
    Rule("3.10", "bodies", manners.bodies),
    Rule("3.10", "body limit", manners.limits),
    Rule("3.11", "errors repeat nothing", secrecy.errors),
    Rule("3.11", "logs repeat nothing", secrecy.logs),
    Rule("5", "rotation honoured", rotation.honoured),
    Rule("3.11", "values stay secret", secrecy.values),
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
