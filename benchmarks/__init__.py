"""Side by side with peers: every budget of the platform, as a ratio measured in one run on one machine."""
