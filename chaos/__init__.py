"""Breaks every part of a platform at random, and then looks whether anything was lost: `make chaos`."""
