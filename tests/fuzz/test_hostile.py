"""What no description speaks of: bodies, headers and queries that are broken, huge or sly."""

import json
import random
from collections.abc import Iterator
from typing import Any

import marks
import pytest
from findings import Findings, Tally
from judge import complaints
from schemathesis import Case
from stands import CALLERS, NAMES, Stand
from test_schemas import addresses, operations
from wire import Request

JSON = [(b"Content-Type", b"application/json")]
DEEP = 20_000
HUGE = b"9" * 5000

BODIES: dict[str, tuple[bytes, ...]] = {
    "nothing": (),
    "no JSON": (b'{"a":',),
    "not UTF-8": (b'{"a": "\xff\xfe\xc0\x80"}',),
    "UTF-16": ('{"a": 1}'.encode("utf-16"),),
    "a byte order mark": (b"\xef\xbb\xbf{}",),
    "a NUL": (b"\x00",),
    "deep lists": (b"[" * DEEP + b"]" * DEEP,),
    "deep objects": (b'{"a":' * DEEP + b"1" + b"}" * DEEP,),
    "deep and unclosed": (b"[" * DEEP,),
    "a number of 5,000 digits": (b'{"version": ' + HUGE + b', "limit": ' + HUGE + b"}",),
    "a number past all floats": (b'{"after": 1e999, "port": -1e999}',),
    "not a number": (b'{"port": NaN, "after": Infinity}',),
    "positions past 64 bits": (b'{"after": 99999999999999999999}',),
    "positions below": (b'{"after": -1}',),
    "moments past all": (b'{"since": "9999-12-31T23:59:59.999999+00:00", "dry_run": true}',),
    "moments before all": (b'{"since": "0001-01-01T00:00:00+14:00", "dry_run": true}',),
    "null": (b"null",),
    "a list": (b"[]",),
    "a text": (b'"\\u0000"',),
    "the same name twice": (b'{"type": "a", "type": {"b": 1}}',),
    "lone surrogates": (b'{"type": "\\ud800", "message": "\\udfff", "\\ud800": 1}',),
    "the prototype": (b'{"__proto__": {"admin": true}, "constructor": {}}',),
    "too much": (b'{"message": "', b"a" * 1_200_000, b'"}'),
    "much in small pieces": (b'{"a": "', *[b"b" * 64] * 500, b'"}'),
}
HEADERS: dict[str, list[tuple[bytes, bytes]]] = {
    "a token and a key": [(b"Authorization", b"Bearer a.b.c"), (b"X-API-Key", b"fnt_abcdefghijkl_x")],
    "two tokens": [(b"Authorization", b"Bearer a"), (b"Authorization", b"Bearer b")],
    "bytes for a token": [(b"Authorization", b"Bearer \xff\xfe\x80")],
    "a long token": [(b"Authorization", b"Bearer " + b"a" * 60_000)],
    "a token without parts": [(b"Authorization", b"Bearer ..")],
    "a token of odd JSON": [(b"Authorization", b"Bearer bnVsbA.bnVsbA.bnVsbA")],
    "no word before the token": [(b"Authorization", b"a.b.c")],
    "an odd Basic": [(b"Authorization", b"Basic \xe9\xff:==")],
    "a long key": [(b"X-API-Key", b"fnt_" + b"a" * 60_000)],
    "bytes for a key": [(b"X-API-Key", b"\xff\x80 \xe2\x82")],
    "bytes for ids": [(b"X-Request-ID", b"\xff\xfe"), (b"traceparent", b"00-\xff-\xff-zz")],
    "long ids": [(b"X-Request-ID", b"a" * 60_000), (b"traceparent", b"0" * 60_000)],
    "odd conditions": [(b"If-Match", b'"\xff'), (b"If-None-Match", b'W/,,"\xfe'), (b"Range", b"bytes=-9,x")],
    "odd ids of events": [(b"Last-Event-ID", b"\xff-99999999999999999999999"), (b"Accept", b"\xff")],
    "a huge position": [(b"Last-Event-ID", b"a-" + HUGE)],
    "odd keys of a request": [(b"Idempotency-Key", b"\xff" * 300)],
    "a long key of a request": [(b"Idempotency-Key", b"k" * 60_000)],
    "a sly lease": [(b"X-Fountain-Lease", b"\xff\xe9"), (b"X-Fountain-Instance", b"\x80")],
    "sly proxies": [
        (b"X-Fountain-Edge", b"\xff"),
        (b"X-Forwarded-For", b"::, \xff, 999.1.1.1, %"),
        (b"Forwarded", b"="),
    ],
    "an odd host": [(b"X-Forwarded-Host", b"\xff"), (b"X-Forwarded-Proto", b"\x80://")],
    "a body of another kind": [(b"Content-Type", b"text/plain; charset=utf-99")],
    "a form": [(b"Content-Type", b"application/x-www-form-urlencoded")],
    "parts without a boundary": [(b"Content-Type", b"multipart/form-data")],
    "bytes for a kind": [(b"Content-Type", b"\xff/\xfe; =")],
    "a length that is none": [(b"Content-Length", b"-1"), *JSON],
    "a length past all": [(b"Content-Length", HUGE), *JSON],
    "packed": [(b"Content-Encoding", b"gzip"), *JSON],
    "five hundred headers": [(f"x-{number}".encode(), b"a") for number in range(500)],
}
QUERIES = {
    "bytes": "limit=%ff&cursor=%ff%fe&after=%c0%80&type=%80&name=%ed%a0%80",
    "NUL": "type=%00&subject=a%00b&source=%00&cursor=%00&name=%00&username=%00",
    "huge": "limit=" + "9" * 5000 + "&after=" + "9" * 5000 + "&version=" + "9" * 5000,
    "past 64 bits": "after=99999999999999999999&version=18446744073709551616&characterId=9223372036854775808",
    "just 64 bits": "after=9223372036854775807&version=9223372036854775807&characterId=9223372036854775807",
    "below": "after=-9223372036854775809&version=-1&limit=-1&characterId=-9223372036854775809",
    "many": "&".join(f"type=a{number}" for number in range(2000)),
    "odd numbers": "limit=1e3&after=0x10&version=%D9%A1&characterId=1_0",
    "a cursor past 64 bits": "cursor=99999999999999999999",
    "a cursor past 64 bits, wrapped": "cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk",
    "a cursor below": "cursor=LTk5OTk5OTk5OTk5OTk5OTk5OTk5",
    "a sly cursor": "cursor=eyJhIjpudWxsfQ&limit=1",
    "a cursor of numbers": "cursor=WzFlOTk5LCAiYSIsIG51bGxd",
    "a cursor of text": "cursor=bm90IG9uZQ",
    "half escapes": "%&=&a=%zz&&;=%u0000",
    "a wrong time": "since=99999999999999&until=-1&from=1e999&to=NaN&service=%00&identity=%00&action=%00",
}
PARAMETERS = {
    "NUL": "%00",
    "bytes": "%ff%fe",
    "surrogates": "%ed%a0%80",
    "dots": "..",
    "long": "a" * 5000,
    "digits": "9" * 5000,
    "past 64 bits": "9223372036854775808",
    "minus": "-9223372036854775809",
    "quotes": "'%22;--",
    "another alphabet": "%D9%A1",
    "a line": "a%0d%0aX-A:%20b",
    "a word of code": "%7B%7B7*7%7D%7D${x}",
}
NUMBERS = {"actionId", "version", "number"}
GOOD = {"type": "a.b", "message": "m", "description": "d", "data": {"a": "\u0000\ud800"}}


def _names(operation: Any) -> list[str]:
    return [part.partition("}")[0] for part in operation.path.split("{")[1:]]


def _path(operation: Any, values: dict[str, str]) -> str:
    """Return a path with these values, and one of the right kind for what has none."""
    path: str = operation.path
    for name in _names(operation):
        other = "1" if name in NUMBERS else "example-consumer"
        path = path.replace("{" + name + "}", values.get(name, other))
    return path


def _requests(operation: Any, headers: list[tuple[bytes, bytes]], there: dict[str, str]) -> Any:
    method, path = operation.method.upper(), _path(operation, there)
    for what, chunks in BODIES.items():
        yield what, Request(method, path, [*headers, *JSON], chunks)
    for what, more in HEADERS.items():
        yield what, Request(method, path, [*headers, *more], (b"{}",))
    for what, query in QUERIES.items():
        yield what, Request(method, f"{path}?{query}", headers)
    if "{" in operation.path:
        for what, value in PARAMETERS.items():
            odd = _path(operation, dict.fromkeys(_names(operation), value))
            yield what, Request(method, odd, [*headers, *JSON], (json.dumps(GOOD).encode(),))


@pytest.mark.parametrize("service", NAMES, indirect=True)
def test_nothing_that_is_sent_breaks_a_service(
    service: Stand, seed: int, examples: int, tally: Tally
) -> None:
    findings, chance = Findings(), random.Random(seed)
    for operation in operations(service):
        there = service.furnish()
        case: Case = operation.Case(path_parameters=dict.fromkeys(_names(operation), "a"))
        for caller in CALLERS:
            token = service.headers_of(caller)
            headers = [(name.encode(), value.encode()) for name, value in token.items()]
            sent = list(_requests(operation, headers, there))
            for what, request in chance.sample(sent, min(len(sent), 3 * examples)):
                answer = service.ask(request)
                tally.add(service.name, operation.label, caller, answer.status)
                for complaint in complaints(case, request, answer, caller):
                    findings.add(operation.label, f"{complaint} ({what})", caller, request, answer)
    tally.findings += len(findings.found)
    assert not findings.found, findings.text()
    assert service.client.get("/health").status_code == 200


def _marked(
    service: Stand, operation: Any, path: str, admin: dict[str, str]
) -> Iterator[tuple[str, str, Request]]:
    """Return requests with marks: who sends each, and what it is. Each comes from a place of its own, since
    who shows wrong keys has to wait, and is not listened to meanwhile.
    """
    method, definition = operation.method.upper(), operation.definition.raw
    for what, headers in marks.CREDENTIALS.items():
        yield "none", what, Request(method, path, [*headers, *JSON], (b"{}",), next(addresses))
    yield "none", "a marked query", Request(method, f"{path}?{marks.QUERY}", [], (), next(addresses))
    caller, known = ("none", {}) if definition.get("security") == [] else ("admin", admin)
    own = [(name.encode(), value.encode()) for name, value in known.items()]
    for what, kind, body in marks.bodies(definition.get("operationId", ""), definition, service.document):
        headers = [*own, *marks.LEASE, (b"Content-Type", kind)]
        yield caller, what, Request(method, path, headers, (body,), next(addresses))


@pytest.mark.parametrize("service", NAMES, indirect=True)
def test_no_refusal_repeats_a_secret_nor_what_is_not_valid(service: Stand, tally: Tally) -> None:
    findings, refused = Findings(), set[int]()
    there, admin = service.furnish(), service.headers_of("admin")
    for operation in operations(service):
        case: Case = operation.Case(path_parameters=dict.fromkeys(_names(operation), "a"))
        for caller, what, request in _marked(service, operation, _path(operation, there), admin):
            answer = service.ask(request)
            tally.add(service.name, operation.label, caller, answer.status)
            refused.add(answer.status)
            for complaint in complaints(case, request, answer, caller):
                findings.add(operation.label, f"{complaint} ({what})", caller, request, answer)
    tally.findings += len(findings.found)
    assert not findings.found, findings.text()
    assert refused >= {400, 401, 422}
