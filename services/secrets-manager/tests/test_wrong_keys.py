"""A wrong key may be a right one with a slip in it: nothing of it is kept or said."""

import base64
import json

import pytest
from secrets_manager.api_keys import ApiKey

MARKER = "m4rk3r-of-a-key-that-nobody-may-see-again-43"[:43]
EXCHANGE = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token_type": "urn:fountain:params:token-type:api-key",
    "resource": "example-consumer",
}


def shown_everywhere(running, key):
    """The answers to all ways in which a key can be shown."""
    plain = {"grant_type": "client_credentials"}
    basic, *swapped = (
        base64.b64encode(text.encode()).decode() for text in (f"admin:{key}", f"{key}:admin", f"{key}:{key}")
    )
    post, powerless = running.client.post, running.as_("example-consumer")
    instead_of_its_id = f"/identities/admin/keys/{key}"
    return [
        post("/auth/token", data={**plain, "client_secret": key}),
        post("/auth/token", json={**plain, "client_secret": key}),
        post("/auth/token", data=plain, headers={"Authorization": f"Basic {basic}"}),
        post(
            "/auth/token",
            data={**EXCHANGE, "client_secret": running.key_of("example-consumer"), "subject_token": key},
        ),
        running.client.get("/identities", headers={"X-API-Key": key}),
        running.client.get("/secrets/notification", headers={"X-API-Key": key}),
        running.client.get("/secrets", headers={"Authorization": f"Bearer {key}"}),
        post("/auth/token", data={**plain, "client_id": key, "client_secret": key}),
        post("/auth/token", data={**plain, "client_id": key, "client_secret": "none"}),
        *(post("/auth/token", data=plain, headers={"Authorization": f"Basic {it}"}) for it in swapped),
        running.client.delete(instead_of_its_id),
        running.client.delete(instead_of_its_id, headers=powerless),
        running.client.get(f"/{key}"),
    ]


@pytest.mark.parametrize("known", [True, False], ids=["id of the admin's key", "id of nobody's key"])
def test_nothing_of_a_wrong_key_is_in_an_answer_log_metric_event_record_or_file(start, settings, log, known):
    running = start(settings)
    right = ApiKey.parse(running.key_of("admin"))
    wrong = ApiKey.parse(f"fnt_{right.key_id if known else 'nobodyskey0001'}_{MARKER}")
    assert wrong is not None, "it has the form of a key"
    answers = shown_everywhere(running, wrong.reveal())
    for answer in answers:
        assert 400 <= answer.status_code < 500
        assert MARKER not in answer.text + str(answer.headers)
    admin = running.as_("admin")
    audit = running.client.get("/audit", params={"limit": 500}, headers=admin).json()["items"]
    assert [record for record in audit if record["outcome"] == "denied"], "refusals are on record"
    assert MARKER not in json.dumps(audit)
    metrics = running.client.get("/metrics").text
    assert "fountain" in metrics
    assert MARKER not in metrics
    while_running = files(settings)
    running.client.__exit__(None, None, None)
    assert MARKER not in json.dumps(running.neighbours.events)
    said = log.getvalue()
    requests = [line for line in said.splitlines() if "/auth/token" in line]
    assert len(requests) >= 4, "what is logged is seen here"
    assert MARKER not in said
    for path, content in [*while_running, *files(settings)]:
        assert MARKER.encode() not in content, path
    assert right.hash in b"".join(content for _, content in files(settings)), "the files were read"


def files(settings):
    folder = settings.data_dir
    return [(path.name, path.read_bytes()) for path in folder.rglob("*") if path.is_file()]


def test_a_right_key_in_the_place_of_a_name_is_not_on_record(start, settings):
    running = start(settings)
    key = running.key_of("admin")
    for answer in shown_everywhere(running, key):
        assert key not in answer.text
    audit = running.client.get("/audit", params={"limit": 500}, headers=running.as_("admin")).json()["items"]
    targets = {record["target"] for record in audit if record["outcome"] == "denied"}
    assert "identities/admin/keys/[redacted]" in targets
    assert key not in json.dumps(audit)
