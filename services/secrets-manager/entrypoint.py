"""Starts the secrets manager. It is where others get their secrets, so that it has none to fetch."""

import ssl

from fountain_common.entrypoint import run
from secrets_manager.settings import Settings


def tls() -> ssl.SSLContext:
    """Return the application's own context, which has a certificate once the application has started."""
    from main import app

    context: ssl.SSLContext = app.state.core.tls
    return context


if __name__ == "__main__":
    run(Settings, "main:app", secrets=False, tls=tls)
