"""Runs the service in a process of its own, to be killed: `python serve.py PORT`.

Its world is the same at every start.
"""

import sys

import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fountain_common.logging import configure
from fountain_common.testing import World

SIGNING_KEY = Ed25519PrivateKey.from_private_bytes(b"the same key at every start ....")
DATA_KEY = "the same data key at every start"


def same_world() -> World:
    """Make the world that every process of the test shares."""
    world = World()
    world.tokens.key = SIGNING_KEY
    world.secrets_manager.stage("notification", DATA_KEY=DATA_KEY).activate()
    return world


if __name__ == "__main__":
    from main import app, settings

    configure(settings)
    same_world().enter(app.state.platform)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False)
