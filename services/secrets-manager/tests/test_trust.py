"""The certificate, with a real handshake."""

import socket
import ssl
import threading

import pytest
from secrets_manager.trust import LEAF_DAYS, Authority, server_context

NOW = 1_790_000_000.0
DAY = 86400


def handshake(context, authority, name="secrets-manager"):
    ours, theirs = socket.socketpair()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=authority.pem)

    def serve():
        try:
            with context.wrap_socket(theirs, server_side=True):
                pass
        except (ssl.SSLError, OSError):
            pass

    server = threading.Thread(target=serve)
    server.start()
    try:
        with client.wrap_socket(ours, server_hostname=name) as tls:
            return tls.getpeercert()["serialNumber"]
    finally:
        ours.close()
        server.join()


@pytest.fixture
def authority():
    import time

    return Authority.generate(time.time())


def serving(authority, now=None):
    import time

    context = server_context()
    authority.issue(now or time.time()).load_into(context)
    return context


def test_the_authority_verifies_the_secrets_manager_by_that_name(authority):
    assert handshake(serving(authority), authority)


def test_another_name_is_refused(authority):
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(serving(authority), authority, "notification")


def test_another_authority_is_refused(authority):
    import time

    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(serving(authority), Authority.generate(time.time()))


def test_a_new_leaf_is_served_without_a_restart(authority):
    import time

    context = serving(authority)
    before = handshake(context, authority)
    authority.issue(time.time()).load_into(context)
    assert handshake(context, authority) != before


def test_a_leaf_is_renewed_before_it_ends():
    leaf = Authority.generate(NOW).issue(NOW)
    assert not leaf.is_due(NOW + (LEAF_DAYS - 11) * DAY)
    assert leaf.is_due(NOW + (LEAF_DAYS - 9) * DAY)


def test_a_leaf_cannot_sign_and_the_authority_reads_back():
    authority = Authority.generate(NOW)
    again = Authority.load(authority.pem, authority.private_bytes())
    assert again.pem == authority.pem
    with pytest.raises(ValueError, match="does not belong"):
        Authority.load(Authority.generate(NOW).pem, authority.private_bytes())


def test_no_key_prints_itself():
    authority = Authority.generate(NOW)
    assert "PRIVATE" not in repr(authority) + repr(authority.issue(NOW))


def test_a_certificate_that_is_not_valid_yet_is_replaced_and_the_authority_is_valid_before_its_time():
    """The clock was ahead when they were made, and has been set right."""
    authority = Authority.generate(NOW)
    leaf = authority.issue(NOW)
    assert not leaf.is_due(NOW)
    assert leaf.is_due(NOW - 3600)
    assert not authority.issue(NOW - 3600).is_due(NOW - 3600)
    assert authority.certificate.not_valid_before_utc.timestamp() < NOW - 300 * DAY
