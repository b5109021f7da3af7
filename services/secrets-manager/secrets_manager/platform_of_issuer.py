"""The platform of the secrets manager.

Like everyone's, but that it is its own issuer and opens its store first.
"""

import asyncio
import sys
from typing import Final

from fountain_common.connections import Connections
from fountain_common.logging import get_logger
from fountain_common.platform import Parts, Platform

from secrets_manager.core import Core
from secrets_manager.kek import KeyRefusedError
from secrets_manager.own_trust import OwnExchange, OwnKeys, OwnTokens
from secrets_manager.settings import Settings

_SCHEME: Final = "https"


class IssuerPlatform(Platform):
    """A platform around a `Core`.

    It holds no stream of events: all that events keep current elsewhere, keys, revocations and secrets, is
    made here.
    """

    def __init__(self, settings: Settings, core: Core, connections: Connections | None = None) -> None:
        self.core = core
        self._own_tokens = OwnTokens(core)
        super().__init__(
            settings,
            Parts(
                connections=connections or Connections(),
                identity=None,
                issuer=None,
                tokens=self._own_tokens,
                keys=OwnKeys(core),
                api_keys=OwnExchange(core),
                secrets=None,
                feed=None,
                scheme=_SCHEME,
            ),
        )
        core.changed.append(self._trust_changed)

    async def start(self) -> None:
        """Open the store, and then begin as everyone does."""
        assert self.events is not None  # noqa: S101 - for the type checker; a publisher is there
        try:
            await self.core.open(self.events, self.peers, self.health, self.metrics)
        except KeyRefusedError as error:
            sys.stderr.write(f"This service does not start: {error}\n")
            get_logger().critical("key_refused", reason=str(error))
            raise
        await super().start()

    async def _enter_the_map(self) -> None:
        # The gateway judges a registration by keys that it gets here, once this service serves: nobody waits
        # for that.
        self._entering = asyncio.create_task(super()._enter_the_map(), name="registration")

    async def stop(self) -> None:
        """End, and close the store last."""
        await self.withdraw()
        await self.core.last_anchor()
        await super().stop()
        await self.core.close()

    async def _trust_changed(self) -> None:
        self._own_tokens.forget_all()
        await self.verifier.refresh_keys()
        await self.verifier.refresh_revocations()
