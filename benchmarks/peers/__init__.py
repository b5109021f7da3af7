"""The servers that the platform is measured against, each started on loopback and stopped again."""
