"""What is promised holds whatever is killed: a storm of events, receivers that fail, readers that come and
go, `kill -9`.

`STORM=full` runs it at full size.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from fountain_common.ports import free_port
from fountain_common.testing import wait_until

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Size:
    events: int
    streams: int
    kills: int
    seconds: float
    subjects: int = 40
    publishers: int = 4


SIZE = Size(5000, 50, 5, 400) if os.environ.get("STORM") == "full" else Size(300, 6, 2, 60)


def _serve_module() -> Any:
    spec = spec_from_file_location("serve", HERE / "serve.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Process:
    """The service, which can be killed and started again on the same port and data."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "service.log"
        shared = HERE.parents[2] / "shared"
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(HERE.parent), str(shared))),
            "FOUNTAIN_DATA_DIR": str(folder / "data"),
            "FOUNTAIN_RUNTIME": "local",
            "FOUNTAIN_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1/32",
            "FOUNTAIN_DELIVERY_SCHEDULE": ",".join(["0"] + ["0.05"] * 30),
            # Longer than the storm: what waits for one that hangs does not come to an end in it.
            "FOUNTAIN_DELIVERY_TIMEOUT_SECONDS": "3600",
        }
        self._folder = folder
        self.tokens = _serve_module().same_world().tokens

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(HERE / "serve.py"), str(self.port)],
                env=self._environment, cwd=self._folder, stdout=log, stderr=log,
            )  # fmt: skip
        wait_until(self._is_well, "the service is well", 60)

    def _is_well(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()[-3000:]
        try:
            return httpx2.get(f"{self.url}/health", timeout=2, trust_env=False).status_code == 200
        except httpx2.HTTPError:
            return False

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def headers(self, subject: str = "storm") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens.token(subject, ['admin'], 'notification')}"}


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    made = Process(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.kill()


@dataclass
class Reader:
    """Reads the stream, leaves at random, resumes, and is killed off with the service."""

    process: Process
    seed: int
    got: list[int] = field(default_factory=list)
    gaps: int = 0
    stop: bool = False

    def run(self) -> None:
        rng = random.Random(self.seed)
        last = ""
        while not self.stop:
            headers = self.process.headers() | ({"Last-Event-ID": last} if last else {})
            try:
                with (
                    httpx2.Client(timeout=httpx2.Timeout(5, read=20), trust_env=False) as client,
                    client.stream(
                        "GET", f"{self.process.url}/notifications/stream?type=storm.*", headers=headers
                    ) as response,
                ):
                    if response.status_code != 200:
                        time.sleep(0.05)
                        continue
                    last = last or response.headers["last-event-id"]
                    patience = rng.randint(5, 200)
                    for event in httpx2.EventSource(response):
                        last = event.id
                        self.gaps += event.event == "gap"
                        self.got.append(orjson.loads(event.data)["position"])
                        patience -= 1
                        if patience == 0 or self.stop:
                            break
            except httpx2.HTTPError:
                time.sleep(0.05)


def _publish(process: Process, numbers: list[int], stored: dict[int, dict[str, Any]]) -> None:
    with httpx2.Client(base_url=process.url, timeout=5, trust_env=False) as client:
        for number in numbers:
            event = {
                "id": f"storm-{number}",
                "type": "storm.event",
                "subject": f"s{number % SIZE.subjects}",
                "data": number,
            }
            while True:
                try:
                    response = client.post("/notifications", json=event, headers=process.headers())
                except httpx2.HTTPError:
                    time.sleep(0.02)
                    continue
                if response.status_code == 201:
                    stored[number] = response.json()
                    break
                assert response.status_code == 503, response.text
                time.sleep(0.02)


def _has_everything(receiver: Any) -> bool:
    return len({headers["webhook-id"] for headers, _ in list(receiver.requests)}) == SIZE.events


def _first_arrivals(receiver: Any) -> list[dict[str, Any]]:
    seen: dict[str, dict[str, Any]] = {}
    for headers, body in list(receiver.requests):
        seen.setdefault(headers["webhook-id"], orjson.loads(body))
    return list(seen.values())


def _flaky() -> Callable[[dict[str, str], bytes], int]:
    rng = random.Random(1)
    return lambda _headers, _body: 500 if rng.random() < 0.5 else 200


def test_everybody_gets_everything_in_order_though_the_service_is_killed(
    process: Process, receivers: Callable[[], Any]
) -> None:
    named = {name: receivers() for name in ("good", "other", "slow", "flaky")}
    named["slow"].answer = lambda _headers, _body: time.sleep(0.02) or 200
    named["flaky"].answer = _flaky()
    hanging, released = receivers(), threading.Event()
    hanging.answer = lambda _headers, _body: released.wait() and 200
    with httpx2.Client(base_url=process.url, headers=process.headers(), trust_env=False) as client:
        for name, url in {
            **{name: one.url for name, one in named.items()},
            "hanging": hanging.url,
            "dead": "http://127.0.0.1:9/",
        }.items():
            response = client.put(f"/subscriptions/{name}", json={"types": ["storm.*"], "callback_url": url})
            assert response.status_code == 201, response.text
    readers = [Reader(process, seed) for seed in range(SIZE.streams)]
    threads = [threading.Thread(target=reader.run, daemon=True) for reader in readers]
    stored: dict[int, dict[str, Any]] = {}
    for lane in range(SIZE.publishers):
        numbers = [
            number for number in range(SIZE.events) if number % SIZE.subjects % SIZE.publishers == lane
        ]
        threads.append(threading.Thread(target=_publish, args=(process, numbers, stored), daemon=True))
    for thread in threads[: SIZE.streams]:
        thread.start()
    # One stream is the service's own.
    wait_until(lambda: _open_streams(process) == SIZE.streams + 1, "all are subscribed", 20)
    for thread in threads[SIZE.streams :]:
        thread.start()
    for kill in range(1, SIZE.kills + 1):
        share = SIZE.events * kill // (SIZE.kills + 1)
        wait_until(lambda share=share: len(stored) >= share, f"{share} events are stored", SIZE.seconds)
        process.kill()
        process.start()
    wait_until(lambda: len(stored) == SIZE.events, "all events are stored", SIZE.seconds)

    positions = sorted(event["position"] for event in stored.values())
    assert len(set(positions)) == SIZE.events
    for reader in readers:
        wait_until(
            lambda reader=reader: set(reader.got) >= set(positions), "a stream has everything", SIZE.seconds
        )
        reader.stop = True
        assert reader.gaps == 0
        assert reader.got == sorted(set(reader.got)), (
            "a stream that resumes repeats nothing and skips nothing"
        )
        assert [position for position in reader.got if position >= positions[0]] == positions
    for name, receiver in named.items():
        _check_complete(name, receiver)
    # The others have all of it, and not one attempt at this one has ended: they did not wait for it.
    assert hanging.requests
    for name, statuses in (("hanging", {"pending"}), ("dead", {"pending", "dead"})):
        wait_until(
            lambda name=name: len(_deliveries(process, name)) == SIZE.events, f"{name} is owed all", 20
        )
        owed = _deliveries(process, name)
        assert {delivery["position"] for delivery in owed} == set(positions)
        assert {delivery["status"] for delivery in owed} <= statuses
        assert name == "dead" or not any(delivery["attempts"] for delivery in owed)
    released.set()
    _check_complete("hanging", hanging)


def _check_complete(name: str, receiver: Any) -> None:
    wait_until(partial(_has_everything, receiver), f"{name} has everything", SIZE.seconds)
    by_subject = defaultdict(list)
    for event in _first_arrivals(receiver):
        by_subject[event["subject"]].append(event["data"])
    for subject, numbers in by_subject.items():
        assert numbers == sorted(numbers), f"{name} got {subject} out of order"


def _deliveries(process: Process, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    with httpx2.Client(base_url=process.url, headers=process.headers(), trust_env=False) as client:
        cursor: str | None = ""
        while cursor is not None:
            params = {"limit": "500", **({"cursor": cursor} if cursor else {})}
            page = client.get(f"/subscriptions/{name}/deliveries", params=params).json()
            found += page["items"]
            cursor = page["next"]
    return found


def _open_streams(process: Process) -> float:
    text = httpx2.get(f"{process.url}/metrics", trust_env=False).text
    return next(
        float(line.split()[1])
        for line in text.splitlines()
        if line.startswith("fountain_notification_streams ")
    )


def test_what_was_answered_with_201_is_there_after_a_kill(process: Process) -> None:
    stored: dict[int, dict[str, Any]] = {}
    publisher = threading.Thread(target=_publish, args=(process, list(range(40)), stored), daemon=True)
    publisher.start()
    wait_until(lambda: len(stored) >= 10, "some are stored", 20)
    process.kill()
    before = dict(stored)
    process.start()
    publisher.join(20)
    with httpx2.Client(base_url=process.url, headers=process.headers(), trust_env=False) as client:
        items = client.get("/notifications?type=storm.*&limit=500").json()["items"]
    found = {item["id"]: item["position"] for item in items}
    assert all(found[f"storm-{number}"] == event["position"] for number, event in before.items())
    assert len(found) == len(items) == 40
