"""Platforms elsewhere: a key is kept for one issuer and sent to no other; what commands ask for."""

import io
import json
import os
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fountain_cli import exits
from fountain_cli.main import app
from fountain_cli.stack.layout import KNOWN

KEYS = {"one": "fnt_oneoneoneone_first", "two": "fnt_twotwotwotwo_second"}


class Server(ThreadingHTTPServer):
    """A server that says nothing of clients which do not like its certificate."""

    def handle_error(self, *_: object) -> None:
        pass


class Issuer:
    """A platform of its own name and port, over TLS: gives tokens for one key, remembers every request."""

    def __init__(self, name: str, certificate: Path) -> None:
        self.key, self.redirect_to = KEYS[name], ""
        self.seen: list[tuple[str, str, str]] = []
        self.answers: dict[str, Any] = {}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length).decode()
                issuer.seen.append((self.headers["Host"], self.path, f"{self.headers}{body}"))
                if issuer.redirect_to:
                    self.answer(307, {}, Location=issuer.redirect_to)
                elif self.path in issuer.answers:
                    self.answer(200, issuer.answers[self.path])
                elif issuer.key in body:
                    self.answer(200, {"access_token": f"token-of-{name}"})
                else:
                    self.answer(
                        401, {"error": "invalid_client", "error_description": "This key is not known."}
                    )

            def do_GET(self) -> None:
                issuer.seen.append((self.headers["Host"], self.path, str(self.headers)))
                self.answer(200, issuer.answers.get(self.path, {"items": [], "next": None}))

            def do_DELETE(self) -> None:
                issuer.seen.append((self.headers["Host"], self.path, str(self.headers)))
                self.answer(200, {})

            def answer(self, status: int, document: Any, **headers: str) -> None:
                content = json.dumps(document).encode()
                self.send_response(status)
                for header, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(header, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self._server.server_address[1]
        self.domain = f"{name}.localhost:{self.port}"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One certificate for both platforms, with its key; it is its own CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "platforms for tests")])
    names = [
        x509.DNSName(f"{service}.{name}.localhost")
        for name in KEYS
        for service in (known.name for known in KNOWN)
    ]
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture
def platforms(certificate: Path) -> Iterator[dict[str, Issuer]]:
    made = {name: Issuer(name, certificate) for name in KEYS}
    yield made
    for issuer in made.values():
        issuer.close()


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


class Person:
    """Somebody with a home of his own, who types commands."""

    def __init__(self, home: Path, certificate: Path) -> None:
        self.home, self.trusted = home, str(certificate)

    def types(self, *words: str, at: str, given: str = "") -> Done:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FOUNTAIN_")}
        environment |= {
            "XDG_CONFIG_HOME": str(self.home),
            "FOUNTAIN_DOMAIN": at,
            "FOUNTAIN_CA_FILE": self.trusted,
            # Whatever platform runs on this machine is none of theirs.
            "FOUNTAIN_RUNTIME": "local",
            "FOUNTAIN_STATE_DIR": str(self.home / "state"),
        }
        out, err, status = io.StringIO(), io.StringIO(), 0
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name in os.environ.keys() - environment.keys():
                patch.delenv(name)
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.StringIO(given))
            try:
                app(list(words), prog_name="fountain")
            except SystemExit as ended:
                status = int(ended.code or 0)
        return Done(status, out.getvalue(), err.getvalue())


@pytest.fixture
def person(tmp_path: Path, certificate: Path) -> Person:
    return Person(tmp_path, certificate)


def test_a_key_is_sent_to_its_own_issuer_and_a_token_to_the_services(
    platforms: dict[str, Issuer], person: Person
) -> None:
    for name, issuer in platforms.items():
        done = person.types("login", at=issuer.domain, given=KEYS[name] + "\n")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
    for issuer in platforms.values():
        done = person.types("subscriptions", "list", "--json", at=issuer.domain)
        assert (done.returncode, json.loads(done.stdout)) == (0, []), done.stderr
    for name, issuer in platforms.items():
        [other] = KEYS.keys() - {name}
        assert all(KEYS[other] not in content for _, _, content in issuer.seen)
        holding = [(host, path) for host, path, content in issuer.seen if KEYS[name] in content]
        assert set(holding) == {(f"secrets-manager.{issuer.domain}", "/auth/token")}
        [asked] = [content for host, _, content in issuer.seen if host.startswith("notification.")]
        assert f"Bearer token-of-{name}" in asked


def test_keys_are_kept_by_issuer_and_forgotten_by_issuer(
    platforms: dict[str, Issuer], person: Person
) -> None:
    one, two = platforms["one"], platforms["two"]
    assert person.types("login", at=one.domain, given=KEYS["one"]).returncode == 0
    before = len(two.seen)
    done = person.types("secrets", "list", at=two.domain)
    assert done.returncode == exits.DENIED
    assert "fountain login" in done.stderr
    assert len(two.seen) == before
    assert person.types("logout", at=two.domain).returncode == exits.NOT_FOUND
    assert person.types("logout", at=one.domain).returncode == 0
    assert person.types("secrets", "list", at=one.domain).returncode == exits.DENIED


def test_a_key_follows_no_redirect(platforms: dict[str, Issuer], person: Person) -> None:
    one, two = platforms["one"], platforms["two"]
    one.redirect_to = f"https://secrets-manager.{two.domain}/auth/token"
    assert person.types("login", at=one.domain, given=KEYS["one"]).returncode != 0
    assert two.seen == []


def test_a_key_is_not_sent_to_whom_no_trusted_ca_vouches_for(
    platforms: dict[str, Issuer], person: Person, tmp_path: Path
) -> None:
    person.trusted = ""
    done = person.types("login", at=platforms["one"].domain, given=KEYS["one"])
    assert done.returncode == exits.UNAVAILABLE
    assert "FOUNTAIN_CA_FILE" in done.stderr
    assert platforms["one"].seen == []


def test_a_wrong_key_is_not_kept(platforms: dict[str, Issuer], person: Person) -> None:
    one = platforms["one"]
    assert person.types("login", at=one.domain, given=KEYS["one"]).returncode == 0
    done = person.types("login", at=one.domain, given=KEYS["two"])
    assert (done.returncode, KEYS["two"] in done.stderr) == (exits.DENIED, False)
    assert person.types("token", at=one.domain).stdout == "token-of-one\n"


@pytest.mark.parametrize("domain", ["https://fountain.example", "fountain example", "fountain.example/x"])
def test_a_domain_is_a_domain(person: Person, domain: str) -> None:
    done = person.types("status", at=domain)
    assert (done.returncode, "write a domain" in done.stderr) == (exits.USAGE, True)


@pytest.fixture
def at_one(platforms: dict[str, Issuer], person: Person) -> Issuer:
    """A platform that the person has a key for."""
    assert person.types("login", at=platforms["one"].domain, given=KEYS["one"]).returncode == 0
    return platforms["one"]


def body_of(issuer: Issuer, path: str) -> Any:
    [content] = [content for _, seen, content in issuer.seen if seen == path]
    return json.loads(content[content.index("{") :])


def test_a_replay_names_its_moment_in_full_and_counts_without_doing_it(
    at_one: Issuer, person: Person
) -> None:
    path = "/subscriptions/copy/replay"
    at_one.answers[path] = {"count": 3, "dry_run": True}
    done = person.types("events", "replay", "copy", "--since", "2h", "--dry-run", at=at_one.domain)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "3 events would be delivered again.\n")
    asked = body_of(at_one, path)
    assert asked["dry_run"] is True
    ago = datetime.now(UTC) - datetime.fromisoformat(asked["since"])
    assert timedelta(hours=2) <= ago < timedelta(hours=3)


@pytest.mark.parametrize("chosen", [[], ["--missing", "--after", "1"], ["--since", "yesterday"]])
def test_a_replay_of_nothing_in_particular_is_not_sent(
    at_one: Issuer, person: Person, chosen: list[str]
) -> None:
    before = len(at_one.seen)
    done = person.types("events", "replay", "copy", *chosen, at=at_one.domain)
    assert (done.returncode, len(at_one.seen)) == (exits.USAGE, before)


def test_a_rotation_can_be_named_by_its_service(at_one: Issuer, person: Person) -> None:
    rotation = {"rotation_id": "r-7", "service_name": "stories", "version": 7, "state": "retired"}
    at_one.answers["/rotations?limit=1&service_name=stories"] = {"items": [rotation], "next": None}
    at_one.answers["/rotations/r-7"] = {**rotation, "holders": []}
    done = person.types("rotations", "watch", "stories", "--json", at=at_one.domain)
    assert (done.returncode, json.loads(done.stdout)["version"]) == (0, 7), done.stderr
    assert person.types("rotations", "watch", "nothing", at=at_one.domain).returncode == exits.NOT_FOUND


def test_values_go_from_standard_input_to_the_platform_and_nowhere_else(
    at_one: Issuer, person: Person
) -> None:
    at_one.answers["/secrets/stories"] = {
        "service_name": "stories",
        "version": 1,
        "secrets": {"SMTP_PASSWORD": "s3cret", "JWT_SECRET": "s3cret"},
    }
    for shown in ([], ["--json"]):
        at_one.seen.clear()
        given = json.dumps({"SMTP_PASSWORD": "s3cret"})
        done = person.types("secrets", "create", "stories", "--stdin", *shown, at=at_one.domain, given=given)
        assert done.returncode == 0, done.stderr
        assert body_of(at_one, "/secrets/stories") == {"SMTP_PASSWORD": "s3cret"}
        assert "s3cret" not in done.stdout + done.stderr
        assert "SMTP_PASSWORD" in done.stdout + done.stderr


def test_a_name_leads_nowhere_else(at_one: Issuer, person: Person) -> None:
    before = len(at_one.seen)
    for name in ("../audit", "a/b", "a?version=1", "a b"):
        assert person.types("secrets", "get", name, at=at_one.domain).returncode == exits.USAGE
    assert len(at_one.seen) == before


def test_a_check_of_all_names_every_service_of_the_catalog(at_one: Issuer, person: Person) -> None:
    names = [service.name for service in KNOWN]
    nobody = "/identities/conformance-powerless"
    at_one.answers["/catalog"] = {"services": [{"service_name": name} for name in names]}
    at_one.answers[nobody] = {"roles": [], "revoked_at": None, "keys": []}
    at_one.answers[f"{nobody}/keys"] = {"key_id": "k1", "api_key": KEYS["one"]}
    done = person.types("check", "--all", "--json", at=at_one.domain)
    assert done.returncode == exits.FAILED, "nothing that a service keeps is answered here"
    report = json.loads(done.stdout)
    assert sorted(report) == sorted(names)
    assert all(one["findings"] for one in report.values())
    asked = {host.split(".")[0] for host, path, _ in at_one.seen if path == "/health"}
    assert asked == set(names)
    assert f"{nobody}/keys/k1" in [path for _, path, _ in at_one.seen]
