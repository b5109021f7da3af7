"""Where a webhook may go."""

import asyncio
from ipaddress import IPv4Address, ip_address, ip_network

import pytest
from notification.sender import Guard, NotSent
from notification.ssrf import Refused, choose, literal, parse, reason_against

INSIDE = {
    "127.0.0.1": "loopback",
    "127.1": "loopback",
    "2130706433": "loopback",
    "0177.0.0.1": "loopback",
    "0x7f.0.0.1": "loopback",
    "0x7f000001": "loopback",
    "017700000001": "loopback",
    "127.0.0.1.": "loopback",
    "[::1]": "loopback",
    "[::ffff:127.0.0.1]": "loopback",
    "[::ffff:7f00:1]": "loopback",
    "[64:ff9b::7f00:1]": "loopback",
    "[64:ff9b::a9fe:a9fe]": "metadata",
    "[64:ff9b:1:7f00:0:100:808:808]": "translator",
    "[64:ff9b:1::8.8.8.8]": "translator",
    "[::ffff:0:127.0.0.1]": "loopback",
    "[2002:7f00:1::]": "loopback",
    "[2002:a9fe:a9fe::1]": "metadata",
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]": "loopback",
    "[::7f00:1]": "loopback",
    "0.0.0.0": "unspecified",
    "0": "unspecified",
    "[::]": "unspecified",
    "169.254.169.254": "metadata",
    "2852039166": "metadata",
    "0xa9fea9fe": "metadata",
    "0251.0376.0251.0376": "metadata",
    "[::ffff:169.254.169.254]": "metadata",
    "[fd00:ec2::254]": "metadata",
    "100.100.100.200": "metadata",
    "169.254.1.1": "link-local",
    "[fe80::1]": "link-local",
    "10.0.0.1": "private",
    "167772161": "private",
    "012.0.0.1": "private",
    "172.16.5.5": "private",
    "0xac100505": "private",
    "192.168.1.1": "private",
    "192.168.257": "private",
    "[fd12:3456::1]": "private",
    "[::ffff:10.0.0.1]": "private",
    "100.64.0.1": "carrier",
    "224.0.0.1": "multicast",
    "[ff02::1]": "multicast",
    "255.255.255.255": "reserved|private",
    "240.0.0.1": "reserved|private",
    "198.18.0.1": "private",
}


@pytest.mark.parametrize(("host", "kind"), INSIDE.items())
def test_an_address_inside_is_refused_in_every_spelling_with_the_reason(host: str, kind: str) -> None:
    target = parse(f"https://{host}/hook")
    address = literal(target.host)
    assert address is not None
    with pytest.raises(Refused, match=kind):
        choose(target, [address], ())


FORMS = {
    "as it is": str,
    "decimal": lambda address: str(int(address)),
    "octal": lambda address: ".".join(f"0{part:o}" for part in address.packed),
    "octal, whole": lambda address: f"0{int(address):o}",
    "hexadecimal": lambda address: ".".join(f"{part:#x}" for part in address.packed),
    "hexadecimal, whole": lambda address: f"{int(address):#x}",
    "IPv6-mapped": lambda address: f"[::ffff:{address}]",
    "IPv6-mapped in hexadecimal": lambda address: (
        f"[::ffff:{address.packed[:2].hex()}:{address.packed[2:].hex()}]"
    ),
}
KINDS = {
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "169.254.7.7": "link-local",
    "169.254.169.254": "metadata",
    "10.1.2.3": "private",
    "172.31.255.1": "private",
    "192.168.0.10": "private",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("address", "kind"), KINDS.items())
def test_every_kind_of_address_inside_is_refused_in_every_form(address: str, kind: str, form: str) -> None:
    target = parse(f"https://{FORMS[form](IPv4Address(address))}/hook")
    found = literal(target.host)
    assert found is not None
    with pytest.raises(Refused, match=kind):
        choose(target, [found], ())


@pytest.mark.parametrize(
    ("address", "kind"), [*KINDS.items(), ("::1", "loopback"), ("fe80::1", "link-local")]
)
def test_a_name_of_an_address_inside_is_refused_with_the_reason(address: str, kind: str) -> None:
    async def resolve(_host: str) -> list[str]:
        return [address]

    with pytest.raises(Refused, match=kind):
        asyncio.run(Guard((), resolve).find("https://inside.example/hook"))


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07::1", "::ffff:93.184.215.14"])
def test_a_public_address_is_fit(address: str) -> None:
    assert reason_against(ip_address(address)) is None


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "https://",
        "https:///path",
        "//example.org/",
        "https://user@example.org/",
        "https://user:word@example.org/",
        "https://exa mple.org/",
        "https://example.org\\@127.0.0.1/",
        "https://example.org/\r\nHost: x",
        "https://example.org:0/",
        "https://example.org:99999/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://127.0.0.1.2.3/",
        "https://256.0.0.1/",
        "https://0x1ffffffff/",
        "https://ex%61mple.org/",
        "https://éxample.org/",
        "https://-bad-.org..//",
        "https://example.org/" + "x" * 3000,
    ],
)
def test_what_is_no_plain_url_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        literal(parse(url).host)


def test_http_goes_to_allowed_networks_alone() -> None:
    allowed = [ip_network("10.1.0.0/16")]
    assert str(choose(parse("http://10.1.2.3:8080/x"), [ip_address("10.1.2.3")], allowed)) == "10.1.2.3"
    assert str(choose(parse("https://[::ffff:10.1.2.3]/"), [ip_address("::ffff:10.1.2.3")], allowed))
    with pytest.raises(Refused, match="https"):
        choose(parse("http://example.org/"), [ip_address("93.184.215.14")], allowed)
    with pytest.raises(Refused, match="private"):
        choose(parse("http://10.2.0.1/"), [ip_address("10.2.0.1")], allowed)


def test_one_address_inside_among_public_ones_spoils_a_name() -> None:
    with pytest.raises(Refused, match=r"10\.0\.0\.1"):
        choose(parse("https://example.org/"), [ip_address("93.184.215.14"), ip_address("10.0.0.1")], ())


def test_the_url_that_is_connected_to_holds_the_judged_address_and_the_port() -> None:
    target = parse("https://Example.org:8443/a?b=c")
    assert target.at(ip_address("93.184.215.14")) == "https://93.184.215.14:8443/a?b=c"
    assert target.authority == "example.org:8443"
    assert parse("https://example.org/").authority == "example.org"
    assert parse("https://example.org").at(ip_address("::1")) == "https://[::1]:443/"


async def _find(*answers: list[str]) -> list[str]:
    waiting = list(answers)

    async def resolve(_host: str) -> list[str]:
        return waiting.pop(0)

    guard = Guard((), resolve)
    found = []
    for _ in answers:
        try:
            found.append(str((await guard.find("https://rebinding.example/"))[1]))
        except (Refused, NotSent) as error:
            found.append(str(error))
    return found


def test_a_name_is_resolved_and_judged_at_each_send() -> None:
    first, second, third = asyncio.run(_find(["93.184.215.14"], ["127.0.0.1"], []))
    assert first == "93.184.215.14"
    assert "loopback" in second
    assert "no address" in third
