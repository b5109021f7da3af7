"""The main job, step by step: what `make demo` shows."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from rich.text import Text

from fountain_cli.api import ISSUER, Api
from fountain_cli.demo.phases import Phases
from fountain_cli.demo.traffic import Traffic, open_link, sign
from fountain_cli.exits import CommandError
from fountain_cli.screen import out
from fountain_cli.stack import ComposeStack, LocalStack

SERVICE = "example-consumer"
OVERLAP_SECONDS = 5
_GIVE_UP_SECONDS = 180
_PAUSE_SECONDS = 0.05
_ASKED_AT_MOST = 200
_NEWS_SECONDS = 5
_POLICY = f"/secrets/{SERVICE}/rotation-policy"


class Story:
    """Tells the demo and remembers whether all of it came true.

    Args:
        stack: the platform on this machine.
        api: the platform as its administrator.
    """

    def __init__(self, stack: ComposeStack | LocalStack, api: Api) -> None:
        self._stack = stack
        self._api = api
        self._began = time.monotonic()
        self._replicas = stack.replicas(SERVICE)
        self.true = True

    def tell(self) -> bool:
        """Perform it; True if everything was as promised."""
        out.print(f"[bold]A secret of {SERVICE} rotates while it is in use.[/bold]\n")
        restarts = self._stack.restarts()
        with self._overlap(), self._client() as client:
            instances = self._instances(client)
            self._say(f"{len(instances)} instances run: {', '.join(sorted(one[:8] for one in instances))}")
            if len(instances) == 1:
                self._say("(with `make up scale=3` there would be three)")
            old = sign(client)
            self._check(open_link(client, old) == 307, "a link is signed with the version of now, and opens")
            with Traffic(self._client) as count:
                self._rotate(client, old)
            self._check(self._gone(client, old), "the old link is gone: 410")
            self._check(
                not count.failures, f"{count.requests} requests meanwhile, {len(count.failures)} failed"
            )
            for failure in count.failures[:3]:
                self._say(f"  {failure}")
        self._check(self._stack.restarts() == restarts, "no process was restarted")
        return self.true

    def _rotate(self, client: httpx2.Client, old: dict[str, Any]) -> None:
        out.print("\nThe rotation begins; times count from here.\n")
        self._began = time.monotonic()
        answer = self._api.call(ISSUER, "POST", f"/secrets/{SERVICE}/rotate", json={})
        self._say(f"rotation to version {answer['version']} asked for; the answer: {answer['state']}")
        phases = Phases(answer["version"])
        told = False
        for rotation in self._watch(answer["rotation_id"]):
            for news in phases.see(rotation, self._elapsed()):
                self._say(news)
            if rotation["state"] == "draining" and not told:
                told = True
                self._everywhere(client, phases.version)
                new = sign(client)
                self._check(
                    open_link(client, new) == 307, "a new link is signed with the new version, and opens"
                )
                self._check(
                    open_link(client, old) == 307, "the old link still opens: its version is draining"
                )
            if rotation["state"] == "retired":
                return
        raise CommandError("The rotation did not end; see: fountain rotations list")

    def _watch(self, rotation_id: str) -> Iterator[dict[str, Any]]:
        deadline = time.monotonic() + _GIVE_UP_SECONDS
        with out.status("watching the rotation"):
            while time.monotonic() < deadline:
                yield self._api.get(ISSUER, f"/rotations/{rotation_id}")
                time.sleep(_PAUSE_SECONDS)

    def _gone(self, client: httpx2.Client, link: dict[str, Any]) -> bool:
        """Say whether a link is gone at every instance; they hear of a retired version as of a new one."""
        in_a_row, deadline, wanted = 0, time.monotonic() + _NEWS_SECONDS, 4 * self._replicas
        while in_a_row < wanted and time.monotonic() < deadline:
            in_a_row = in_a_row + 1 if open_link(client, link) == 410 else 0
        return in_a_row == wanted

    def _everywhere(self, client: httpx2.Client, version: int) -> None:
        """Ask every instance itself what it holds."""
        held = self._instances(client)
        late = sorted(one[:8] for one, its in held.items() if its != version)
        late += ["unseen"] * (self._replicas - len(held))
        said = f"every instance says that it uses version {version}" if not late else f"not yet there: {late}"
        self._check(not late, said)

    def _client(self) -> httpx2.Client:
        client = self._stack.client(SERVICE)
        client.headers["Authorization"] = f"Bearer {self._api.token(SERVICE)}"
        return client

    def _instances(self, client: httpx2.Client) -> dict[str, int]:
        """Return which version each instance says that it uses; the edge leads to one after the other."""
        found: dict[str, int] = {}
        for _ in range(_ASKED_AT_MOST):
            status = client.get("/status").raise_for_status().json()
            found[status["instance_id"]] = status["version"]
            if len(found) == self._replicas:
                break
        return found

    @contextmanager
    def _overlap(self) -> Iterator[None]:
        """Let versions drain for seconds instead of minutes, and restore the policy afterwards."""
        before = self._api.request(ISSUER, "GET", _POLICY)
        self._api.call(ISSUER, "PUT", _POLICY, json={"overlap_seconds": OVERLAP_SECONDS})
        self._say(f"versions overlap for {OVERLAP_SECONDS} s in this demo")
        try:
            yield
        finally:
            if before.status_code == 200:
                names = ("cron", "interval_seconds", "overlap_seconds", "deadline_seconds")
                self._api.call(ISSUER, "PUT", _POLICY, json={name: before.json()[name] for name in names})
            else:
                self._api.call(ISSUER, "DELETE", _POLICY)

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _say(self, what: str) -> None:
        out.print(Text(f"{self._elapsed():8.3f} s  ", style="dim") + Text(what), soft_wrap=True)

    def _check(self, good: bool, what: str) -> None:
        self.true = self.true and good
        mark = Text("yes  ", style="green") if good else Text("NO   ", style="bold red")
        out.print(Text(f"{self._elapsed():8.3f} s  ", style="dim") + mark + Text(what), soft_wrap=True)
