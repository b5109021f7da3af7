"""Entity tags in conditional requests (RFC 9110, section 13.1)."""


def matches(header: str, etag: str) -> bool:
    """Whether a list of entity tags names this one; weak comparison, `*` names any."""
    if header.strip() == "*":
        return True
    return any(candidate.strip().removeprefix("W/") == etag for candidate in header.split(","))


def strongly_matches(header: str, etag: str) -> bool:
    """Whether a list of entity tags names this one; strong comparison: no weak tag does. `*` names any.

    It decides about changes (RFC 9110, section 13.1.1).
    """
    return header.strip() == "*" or any(candidate.strip() == etag for candidate in header.split(","))
