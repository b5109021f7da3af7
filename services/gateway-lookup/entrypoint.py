"""Starts the gateway. It has no boot secrets: it is what the others find the Secrets Manager by."""

from fountain_common.entrypoint import run
from gateway_lookup.settings import GatewaySettings

if __name__ == "__main__":
    run(GatewaySettings, "main:app", secrets=False)
