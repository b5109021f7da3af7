"""The rules in the order of the design."""

import httpx2

from fountain_cli.conformance import access, document, manners, pages
from fountain_cli.conformance.findings import Finding, Rule
from fountain_cli.conformance.target import Target

RULES = (
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
    Rule("3.5", "no entry with a token for another service", access.foreign_token),
    Rule("3.5", "no entry without a permission", access.powerless_token),
    Rule("3.5", "no credentials in URLs", access.credentials_in_urls),
    Rule("3.6", "receives notifications", document.receives_notifications),
    Rule("3.9", "request ids", manners.request_ids),
    Rule("3.10", "errors as problems", manners.problems),
    Rule("3.10", "bodies", manners.bodies),
    Rule("3.10", "body limit", manners.limits),
)


def check(target: Target) -> list[Finding]:
    """Every finding against every rule; a service that does not answer is one finding."""
    found: list[Finding] = []
    for rule in RULES:
        try:
            found += rule.findings(target)
        except httpx2.TransportError as error:
            reason = f"does not answer ({type(error).__name__})"
            found.append(
                Finding(rule.number, str(target.client.base_url), reason, "start it, or check the address")
            )
            break
    return found
