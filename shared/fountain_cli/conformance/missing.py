"""What a check lacks: a rule that could not be looked at is never called kept."""


class NotChecked(Exception):
    """A rule cannot be checked here; the message says why, as it reads behind "not checked: "."""
