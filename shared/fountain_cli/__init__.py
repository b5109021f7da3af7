"""The `fountain` command: operates the platform from a terminal (design, section 10)."""
