"""An SDK of CloudEvents that is not ours understands what is sent."""

from typing import Any

import orjson
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from fountain_common.testing import wait_until
from standardwebhooks import Webhook


def test_a_cloudevents_sdk_reads_what_is_listed_streamed_and_delivered(
    start: Any, listen: Any, receiver: Any
) -> None:
    running = start()
    secrets = [running.subscribe(callback_url=receiver.url)["signing_secret"]]
    with running.client() as client:
        secrets.append(client.post("/subscriptions/hook/secret/rotate").json()["signing_secret"])
    stream = listen(running, "order.*")
    event = running.publish(
        "order.placed", "o1", {"total": 3}, recipient="tester", expires_at="2099-01-02T03:04:05Z"
    )
    stream.wait_for(1)
    wait_until(lambda: receiver.requests, "the delivery")
    headers, delivered = receiver.requests[0]
    for secret in secrets:
        Webhook(secret).verify(delivered, headers)
    with running.client() as client:
        alone = client.get(f"/notifications/{event['id']}").content

    for body in (delivered, alone, orjson.dumps(stream.events[0][2])):
        read = JSONFormat().read(CloudEvent, body)
        assert (read.get_id(), read.get_type(), read.get_source()) == (event["id"], "order.placed", "tester")
        assert (read.get_subject(), read.get_data()) == ("o1", {"total": 3})
        assert read.get_time() is not None
        extensions = {"position": event["position"], "recipient": "tester"}
        assert extensions.items() <= read.get_attributes().items()
        assert read.get_attributes()["expirytime"].startswith("2099-01-02T03:04:05")
