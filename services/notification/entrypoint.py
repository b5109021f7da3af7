"""Starts the notification service."""

from fountain_common.entrypoint import run
from notification.settings import Settings

if __name__ == "__main__":
    run(Settings, "main:app")
