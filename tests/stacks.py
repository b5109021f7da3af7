"""The platform of the journeys, in each runtime; `python tests/stacks.py` makes its images beforehand."""

from pathlib import Path

from fountain_cli.stack import ComposeStack, LocalStack, Ports
from steward import CONSUMER, REPLICAS

_PROJECT = "fountain-e2e"
SETTINGS = {
    # Short enough to wait for where no events come, and too long to be of help where they should.
    "FOUNTAIN_SECRETS_RENEW_SECONDS": "5",
    # A rotation waits so long for an instance that was killed.
    "FOUNTAIN_HOLDER_SECONDS": "15",
    # A short run of chaos is to find an anchor in the event log.
    "FOUNTAIN_ANCHOR_SECONDS": "10",
    # Those who receive webhooks are on this machine.
    "FOUNTAIN_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16",
}


def local(state: Path, ports: Ports) -> LocalStack:
    """Return it as local processes."""
    return LocalStack(state, ports, {CONSUMER: REPLICAS}, settings=SETTINGS)


def compose(ports: Ports) -> ComposeStack:
    """Return it in containers."""
    return ComposeStack(
        _PROJECT,
        http_port=ports.http,
        https_port=ports.https,
        network=_PROJECT,
        replicas={CONSUMER: REPLICAS},
        files=("compose.yaml", "tests/compose.yaml"),
        settings=SETTINGS,
    )


if __name__ == "__main__":
    compose(Ports()).build()
