"""Fetch the secrets into memory, then serve `main:app` in this same process."""

from action.settings import Settings
from fountain_common import run

if __name__ == "__main__":
    run(Settings, "main:app")
