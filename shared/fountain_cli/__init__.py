"""The `fountain` command: operates the platform from a terminal."""
