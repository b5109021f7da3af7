"""The platform in memory, for tests: see `fountain_common.testing`."""
