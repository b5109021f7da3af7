"""The audit's sealed segments: exported, verified elsewhere, and pruned."""

import hashlib
import json
from contextlib import suppress

import pytest
from test_audit import alter_the_head, records, tamper, verify


def sealed(running):
    admin = running.as_("admin")
    made = running.client.post("/audit/segments", headers=admin)
    assert made.status_code == 201, made.text
    return made.json(), admin


def exports(running):
    return [record["detail"].get("phase") for record in reversed(records(running, action="audit:export"))]


def test_an_export_that_breaks_off_is_on_record(running, monkeypatch):
    segment, admin = sealed(running)
    path = f"/audit/segments/{segment['number']}"

    async def broken(first, last):
        if first < last:
            raise ConnectionError("the reader has left")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(running.app.state.core.audit_reading, "range", broken)
        with suppress(Exception):
            running.client.get(path, headers=admin)
    assert exports(running) == ["begun"]
    assert running.client.delete(path, headers=admin).status_code == 409, "it was not exported"
    assert running.client.get(path, headers=admin).status_code == 200
    assert exports(running) == ["begun", "begun", "handed out"]


def test_no_line_of_an_export_leaves_before_its_record(running):
    segment, admin = sealed(running)
    alter_the_head(running)
    answer = running.client.get(f"/audit/segments/{segment['number']}", headers=admin)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")


@pytest.mark.parametrize("number", [0, -1, 2**63, 10**30])
def test_a_number_that_no_segment_can_have_is_refused(running, number):
    admin = running.as_("admin")
    path = f"/audit/segments/{number}"
    assert running.client.get(path, headers=admin).status_code == 422
    assert running.client.delete(path, headers=admin).status_code == 422
    sealing = running.client.post("/audit/segments", json={"through": number}, headers=admin)
    assert sealing.status_code == 422


def test_a_sealed_segment_is_exported_and_then_pruned_and_the_rest_verifies(running):
    segment, admin = sealed(running)
    path = f"/audit/segments/{segment['number']}"
    assert running.client.delete(path, headers=admin).status_code == 409
    header, *lines = running.client.get(path, headers=admin).text.splitlines()
    assert json.loads(header)["last"] == segment["last"]
    assert [json.loads(line)["record"][0] for line in lines] == list(range(1, segment["last"] + 1))
    pruned = running.client.delete(path, headers=admin)
    assert pruned.status_code == 200, pruned.text
    answer, found = verify(running)
    assert found == set()
    assert answer["first"] == segment["last"] + 1
    assert records(running, limit=500)[-1]["seq"] == segment["last"] + 1


def test_an_export_can_be_followed_with_nothing_but_a_hash_function(running):
    segment, admin = sealed(running)
    header, *lines = running.client.get(
        f"/audit/segments/{segment['number']}", headers=admin
    ).text.splitlines()
    previous = bytes.fromhex(json.loads(header)["previous"])
    for line in map(json.loads, lines):
        content = json.dumps(line["record"], separators=(",", ":"), ensure_ascii=False).encode()
        previous = hashlib.sha256(previous + content).digest()
        assert line["hash"] == previous.hex()
    assert json.loads(header)["hash"] == previous.hex()


def test_records_cannot_be_removed_by_calling_them_pruned(running):
    segment, _ = sealed(running)
    tamper(
        running,
        ("DELETE FROM audit_records WHERE seq <= ?", (segment["last"],)),
        "UPDATE audit_segments SET pruned_at = 1, exported_at = 1",
    )
    answer, found = verify(running)
    assert answer["intact"] is False
    assert ("removed", 1, segment["last"]) in found


def test_what_is_not_intact_is_not_sealed(running):
    running.as_("admin")
    tamper(running, "UPDATE audit_records SET caller='eve' WHERE seq=3")
    assert running.client.post("/audit/segments", headers=running.as_("admin")).status_code == 409


def test_it_is_verified_in_parts(running):
    admin = running.as_("admin")
    parts, after = [], None
    while not parts or after is not None:
        params = {"limit": 5} | ({} if after is None else {"after": after})
        answer = running.client.get("/audit/verify", params=params, headers=admin)
        assert answer.status_code == 200, answer.text
        parts.append(answer.json())
        after = parts[-1]["next"]
        if len(parts) > 3:
            break  # each part writes a record itself
    assert [part["records"] for part in parts[:3]] == [5, 5, 5]
    assert [part["first"] for part in parts[:3]] == [1, 6, 11]
    assert all(part["intact"] for part in parts)
    for wrong in ({"limit": 0}, {"after": -1}, {"limit": 2**63}, {"after": "x"}):
        assert running.client.get("/audit/verify", params=wrong, headers=admin).status_code == 422
