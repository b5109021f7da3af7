"""Second factors: time-based one-time passwords, recovery codes, and codes that go out as events."""
