"""Starts the guest book as every service is started."""

from fountain_common.entrypoint import run
from settings import Settings

if __name__ == "__main__":
    run(Settings, "main:app")
