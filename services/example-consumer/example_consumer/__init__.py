"""The example consumer: signed links, whose signing key rotates while they are in use."""
