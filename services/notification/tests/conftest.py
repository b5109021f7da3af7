"""The service as it runs, in a world of fakes."""
