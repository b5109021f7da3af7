"""The audit of a running secrets manager.

What is in it, and what is found when somebody changes the database.
"""

import json
import re
import sqlite3
import time
from base64 import b64decode
from contextlib import closing
from datetime import datetime

import pytest
from conftest import Neighbours
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def tamper(running, *statements):
    with sqlite3.connect(running.database) as connection:
        for statement in statements:
            connection.execute(*statement) if isinstance(statement, tuple) else connection.execute(statement)


def verify(running):
    answer = running.client.get("/audit/verify", headers=running.as_("admin")).json()
    return answer, {(item["kind"], item["first"], item["last"]) for item in answer["findings"]}


def records(running, **params):
    return running.client.get("/audit", params=params, headers=running.as_("admin")).json()["items"]


def test_reads_and_writes_are_there_and_values_are_not(running):
    admin = running.as_("admin")
    secret = running.client.get("/secrets/notification", headers=admin).json()["secrets"]["DATA_KEY"]
    running.client.post("/secrets/shop", json={"API_KEY": "marker-value"}, headers=admin)
    found = records(running, target="secrets")
    assert {"secrets:read"} <= {record["action"] for record in found}
    assert "secrets/shop" in {record["target"] for record in found}
    text = running.client.get("/audit", params={"limit": 500}, headers=admin).text
    assert secret not in text
    assert "marker-value" not in text
    assert running.key_of("admin") not in text


def test_records_are_filtered_and_paged(running):
    for _ in range(5):
        running.client.get("/secrets/notification", headers=running.as_("notification"))
    seen, cursor = [], None
    while True:
        page = running.client.get(
            "/audit",
            params={"caller": "notification", "limit": 2, **({"cursor": cursor} if cursor else {})},
            headers=running.as_("admin"),
        ).json()
        seen += [record["seq"] for record in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 10


def test_filters_hold_together_and_moments_from_the_first_to_before_the_last(running):
    client, admin = running.client, running.as_("admin")
    for name in ("notification", "gateway-lookup", "notification"):
        client.get("/secrets/notification", headers=running.as_(name))
        client.get("/secrets/gateway-lookup", headers=admin)
    everything = records(running, limit=500)
    moments = [record["at"] for record in reversed(everything)]
    begin, end = moments[len(moments) // 3], moments[-3]
    combinations = [
        {"since": begin},
        {"until": end},
        {"since": begin, "until": end},
        {"since": begin, "caller": "notification"},
        {"action": "secrets:read", "target": "secrets/notification"},
        {"outcome": "denied", "caller": "gateway-lookup", "target": "secrets/notification"},
        {"target": "secrets", "outcome": "allowed", "until": end, "since": begin},
        {"caller": "notification", "action": "secrets:read", "outcome": "allowed"},
    ]
    for wanted in combinations:
        expected = [record["seq"] for record in everything if _is_wanted(record, **wanted)]
        found = records(running, **wanted, limit=500)
        # Asking writes records too, behind all those that were there.
        seqs = [record["seq"] for record in found if record["seq"] <= everything[0]["seq"]]
        assert seqs == expected != [], wanted
        assert all(_is_wanted(record, **wanted) for record in found), wanted


def test_an_outcome_that_no_record_can_have_is_refused(running):
    answer = running.client.get("/audit", params={"outcome": "maybe"}, headers=running.as_("admin"))
    assert answer.status_code == 422
    assert [item["loc"] for item in answer.json()["errors"]] == [["query", "outcome"]]


def _is_wanted(record, *, since="2000-01-01", until="2999-01-01", target=None, **same):
    since, at, until = (datetime.fromisoformat(one).timestamp() for one in (since, record["at"], until))
    below = target is None or f"{record['target']}/".startswith(f"{target}/")
    return since <= at < until and below and all(record[name] == same[name] for name in same)


def test_an_untouched_audit_is_intact(running):
    answer, found = verify(running)
    assert answer["intact"] is True
    assert found == set()


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (["UPDATE audit_records SET caller='eve' WHERE seq=3"], ("edited", 3, 3)),
        (["DELETE FROM audit_records WHERE seq IN (3,4)"], ("removed", 3, 4)),
        (
            [
                "UPDATE audit_records SET seq=-1 WHERE seq=3",
                "UPDATE audit_records SET seq=3 WHERE seq=4",
                "UPDATE audit_records SET seq=4 WHERE seq=-1",
            ],
            ("reordered", 3, 3),
        ),
        (
            [  # one more before the third, and one less behind it, so that there are as many as the head says
                "DELETE FROM audit_records WHERE seq=5",
                "UPDATE audit_records SET seq=5 WHERE seq=4",
                "UPDATE audit_records SET seq=4 WHERE seq=3",
                "INSERT INTO audit_records SELECT 3, at, 'eve', key_id, action, target, outcome, detail, "
                "client, through_edge, request_id, previous, randomblob(32), mac FROM audit_records "
                "WHERE seq=4",
            ],
            ("inserted", 3, 3),
        ),
    ],
    ids=["edited", "removed", "reordered", "inserted"],
)
def test_what_somebody_did_to_the_database_is_named(running, statements, expected):
    running.as_("admin")
    tamper(running, *statements)
    answer, found = verify(running)
    assert answer["intact"] is False
    assert expected in found


def test_rows_cut_off_the_end_are_named(running):
    headers, last = running.as_("admin"), _newest(running)
    tamper(running, ("DELETE FROM audit_records WHERE seq > ?", (last - 3,)))
    answer = running.client.get("/audit/verify", headers=headers).json()
    assert answer["intact"] is False
    found = [(item["kind"], item["first"], item["last"]) for item in answer["findings"]]
    assert ("truncated", last - 2, last) in found


def test_rows_cut_off_the_end_are_named_even_after_more_was_written(running):
    last = records(running)[0]["seq"]
    tamper(running, ("DELETE FROM audit_records WHERE seq > ?", (last - 3,)))
    answer, found = verify(running)
    assert answer["intact"] is False
    # Those that were cut off, and what verifying wrote behind them; the newest record about identities was
    # among them, so that the rows agree with none that is left.
    assert ("removed", last - 2, last + 1) in found
    assert {kind for kind, _, _ in found} == {"removed", "rows"}


def test_an_altered_head_stops_reads_and_says_so(running):
    headers = running.as_("admin")
    tamper(running, "UPDATE audit_head SET seq = seq - 1")
    answer = running.client.get("/secrets/notification", headers=headers)
    assert answer.status_code == 503
    assert "JWT_SECRET" not in answer.text
    _until(lambda: running.client.get("/health").status_code == 503)


def alter_the_head(running):
    tamper(running, "UPDATE audit_head SET seq = seq - 1")


def fill_the_disk(running):
    tamper(
        running,
        "CREATE TRIGGER full BEFORE INSERT ON audit_records "
        "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
    )


@pytest.mark.parametrize("make_unwritable", [alter_the_head, fill_the_disk])
def test_a_refusal_that_cannot_be_recorded_is_answered_as_unavailable(running, make_unwritable):
    operator = {"Authorization": f"Bearer {running.token(running.person('olga', 'operator'))}"}
    assert running.client.get("/identities", headers=operator).status_code == 403
    assert running.client.get("/secrets").status_code == 401
    make_unwritable(running)
    for headers in (operator, {}):
        answer = running.client.get("/identities", headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        problem = answer.json()
        assert (problem["status"], problem["instance"]) == (503, "/identities")
        assert problem["request_id"] == answer.headers["x-request-id"]
        assert answer.headers["retry-after"] == "1"
        assert "www-authenticate" not in answer.headers


RECORDED = [
    ("GET", "/secrets/notification", None),
    ("POST", "/secrets/notification/rotate", {}),
    ("POST", "/secrets/shop", {}),
    ("POST", "/identities", {"name": "shop", "roles": ["admin"]}),
    ("POST", "/signing-keys/rotate", {}),
    ("PUT", "/secrets/notification/grants/shop", None),
]


@pytest.mark.parametrize(("method", "path", "body"), RECORDED)
def test_what_is_recorded_with_a_change_is_unavailable_behind_an_altered_head(running, method, path, body):
    """A read too: whoever names his instance becomes a holder by it."""
    headers = {**running.as_("admin"), "X-Fountain-Instance": "1" * 32}
    alter_the_head(running)
    answer = running.client.request(method, path, json=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert "JWT_SECRET" not in answer.text


@pytest.mark.parametrize("role", ["admin", "operator"])
def test_that_nothing_has_changed_is_counted_and_not_recorded(running, role):
    """An operator gets no values, by code of its own."""
    running.client.post("/secrets/shop", json={"A": "b"}, headers=running.as_("admin"))
    key = running.person("ada", role)
    caller, known = ({"Authorization": f"Bearer {running.token(key)}"} for _ in range(2))
    instance = {"X-Fountain-Instance": "1" * 32}
    etag = running.client.get("/secrets/shop", headers={**known, **instance}).headers["etag"]
    before, counted = _newest(running), _not_modified(running)
    # Known is who was verified before: he is answered by the shortcut, the other by the operation itself.
    for headers in (caller, known, {**known, **instance}):
        answer = running.client.get("/secrets/shop", headers={**headers, "If-None-Match": etag})
        assert (answer.status_code, answer.content) == (304, b"")
    assert (_newest(running), _not_modified(running)) == (before, counted + 3)
    running.client.get("/secrets/shop", headers=known)
    assert _newest(running) == before + 1


def _newest(running):
    with closing(sqlite3.connect(running.database)) as connection:
        return connection.execute("SELECT max(seq) FROM audit_records").fetchone()[0]


def _not_modified(running):
    [line] = re.findall(
        r"^fountain_audit_not_modified_total(?:{.*})? (.*)$",
        running.client.get("/metrics").text,
        re.MULTILINE,
    )
    return float(line)


def test_heads_are_anchored_on_stdout_so_that_anybody_who_has_the_key_can_check_them(start, settings, log):
    running = start(settings.model_copy(update={"anchor_seconds": 0.05}))

    def said():
        lines = map(json.loads, log.getvalue().splitlines())
        return [line for line in lines if line["event"] == "audit_anchored"]

    _until(said)
    for anchor in said():
        named = {"type": "fountain-audit-anchor-2"} | {
            part: anchor[part] for part in ("at", "epoch", "hash", "seq")
        }
        message = json.dumps(named, sort_keys=True, separators=(",", ":")).encode()
        key = Ed25519PublicKey.from_public_bytes(b64decode(anchor["public"]))
        key.verify(b64decode(anchor["signature"]), message)
        with pytest.raises(InvalidSignature):
            key.verify(b64decode(anchor["signature"]), message.replace(b'"seq":', b'"seq":1'))
        with closing(sqlite3.connect(running.database)) as connection:
            query = "SELECT lower(hex(hash)) FROM audit_records WHERE seq = ?"
            assert connection.execute(query, (anchor["seq"],)).fetchone() == (anchor["hash"],)
    assert verify(running)[0]["public_key"] == anchor["public"]


def test_heads_are_anchored_in_the_event_log_and_beside_the_database(start, settings):
    running = start(settings.model_copy(update={"anchor_seconds": 0.05}))
    _until(lambda: "audit.anchored" in running.neighbours.types())
    answer, _ = verify(running)
    assert answer["event_log"] == "checked"
    assert (settings.data_dir / "audit-anchor.json").exists()


def test_an_older_database_put_back_is_noticed(start, settings):
    fast = settings.model_copy(update={"anchor_seconds": 0.05})
    first = start(fast)
    first.client.__exit__(None, None, None)
    older = first.database.read_bytes()
    second = start(fast)
    for _ in range(3):
        second.as_("admin")
    second.client.__exit__(None, None, None)
    (settings.data_dir / "audit-anchor.json").rename(settings.data_dir / "kept")
    for path in settings.data_dir.glob("secrets_manager.db*"):
        path.unlink()
    second.database.write_bytes(older)
    (settings.data_dir / "kept").rename(settings.data_dir / "audit-anchor.json")
    answer, found = verify(start(settings))
    assert answer["intact"] is False
    assert {kind for kind, _, _ in found} == {"truncated"}


def test_an_older_database_and_its_anchor_file_are_told_by_the_event_log(start, settings):
    """All that lies beside the database went back with it: the event log alone has the newer anchor."""
    fast, event_log = settings.model_copy(update={"anchor_seconds": 0.05}), Neighbours()
    first = start(fast, event_log)
    first.client.__exit__(None, None, None)
    kept = {path: path.read_bytes() for path in settings.data_dir.iterdir() if path.is_file()}
    assert {first.database, settings.data_dir / "audit-anchor.json"} <= kept.keys()
    second = start(fast, event_log)
    for _ in range(30):  # more than the next start writes, which would lie in the same places
        second.as_("admin")
    last = records(second)[0]["seq"]
    _until(lambda: event_log.events and event_log.events[-1]["data"].get("seq", 0) >= last)
    second.client.__exit__(None, None, None)
    for path in settings.data_dir.iterdir():
        if path.is_file():
            path.unlink()
    for path, content in kept.items():
        path.write_bytes(content)
    answer, found = verify(start(settings, event_log))
    assert (answer["intact"], answer["event_log"]) == (False, "checked")
    [(kind, missing, through)] = found
    assert kind == "truncated"
    assert missing <= last <= through


def test_an_admin_put_into_the_database_is_refused_and_health_says_so(running):
    tamper(running, "UPDATE identities SET roles='admin' WHERE name='example-consumer'")
    answer = running.ask_token(running.key_of("example-consumer"))
    assert answer.status_code == 401
    _until(lambda: running.client.get("/health").json()["checks"]["identities"] == "failing")
    assert running.client.get("/health").status_code == 503
    assert running.ask_token(running.key_of("admin")).status_code == 200


def test_a_key_lent_to_another_identity_is_refused(running):
    tamper(running, "UPDATE api_keys SET identity='admin' WHERE identity='example-consumer'")
    assert running.ask_token(running.key_of("example-consumer")).status_code == 401


def _until(true, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
