"""The map of the platform: which service runs where, is it well, and where does a subdomain go."""
