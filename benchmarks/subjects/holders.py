"""So many instances of a service in one process, each with its own stream and hold on the secret: what the
library does in a service, and nothing else of it.

`holders.py COUNT GATEWAY_URL IDENTITY_DIR DATA_DIR` says `ready` once all hold the secret, and ends with its
input.
"""

import asyncio
import sys
from pathlib import Path

from fountain_common.logging import configure
from fountain_common.platform import Platform, create_platform
from fountain_common.settings import ServiceSettings


async def hold(count: int, gateway_url: str, identity_dir: Path, data_dir: Path) -> None:
    """Start them, and stop them when the input ends."""
    platforms = [_instance(gateway_url, identity_dir, data_dir) for _ in range(count)]
    for start in range(0, count, 10):
        await asyncio.gather(*(platform.start() for platform in platforms[start : start + 10]))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await asyncio.gather(*(platform.stop() for platform in platforms))


def _instance(gateway_url: str, identity_dir: Path, data_dir: Path) -> Platform:
    settings = ServiceSettings(
        service_name="example-consumer",
        gateway_url=gateway_url,
        identity_dir=identity_dir,
        data_dir=data_dir,
        runtime="local",
        log_level="ERROR",
    )
    configure(settings)
    return create_platform(settings)


if __name__ == "__main__":
    asyncio.run(hold(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])))
