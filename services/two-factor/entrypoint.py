"""Fetch the secrets into memory, then serve `main:app` in this same process."""

from fountain_common import run
from two_factor.settings import Settings

if __name__ == "__main__":
    run(Settings, "main:app")
