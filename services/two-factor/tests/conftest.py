"""The service with fakes for its peers, and a clock that stands still."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import time_machine
from fountain_common.testing import ServiceClient, instance
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from people import NOW, SERVICE, SOMEBODY

# On a busy machine an example takes as long as it takes.
hypothesis_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("patient")


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceClient]:
    monkeypatch.setenv("FOUNTAIN_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("FOUNTAIN_OTP_COURIERS", "mailer pigeon-post")
    with instance(SERVICE, roles=None) as client:
        # Good at the moment at which the clock stands, however long the suite has been running by then.
        with time_machine.travel(NOW, tick=False):
            client.headers.update(client.bearer("tester", SOMEBODY))
        yield client


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock
