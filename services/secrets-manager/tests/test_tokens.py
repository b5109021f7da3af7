from fountain_common.names import PLATFORM
from fountain_common.tokens import read_token
from secrets_manager.signing_keys import SigningKey
from secrets_manager.tokens import Grant, audience_of, mint, revocation_moment

KEY = SigningKey.generate(0.0, 0.0)
GRANT = Grant("ada", ("operator",), ("notification",), "ada", "k1")


def read(token, now):
    keys = {KEY.kid: KEY.private.public_key()}
    return read_token(token, keys.get, issuer="https://issuer", audience="notification", now=now)


def test_the_platform_reads_what_is_minted():
    caller = read(mint(GRANT, KEY, "https://issuer", 1000.7).token, 1001.0)
    assert (caller.subject, caller.roles, caller.key_id, caller.client_id) == (
        "ada",
        ("operator",),
        "k1",
        "ada",
    )


def test_a_token_after_a_revocation_in_the_same_second_passes_and_one_before_does_not():
    before = read(mint(GRANT, KEY, "https://issuer", 1000.2).token, 1000.2)
    revoked = revocation_moment(1000.3)
    after = read(mint(GRANT, KEY, "https://issuer", 1000.4, revoked).token, 1000.4)
    assert before.issued_at < revoked <= after.issued_at


def test_a_token_does_not_print_itself():
    issued = mint(GRANT, KEY, "https://issuer", 1000.0)
    assert issued.token not in repr(issued)


def test_without_a_resource_a_token_is_for_the_platform():
    assert audience_of((), (), PLATFORM) == PLATFORM


def test_a_teams_service_shares_a_token_with_nobody():
    assert audience_of(("shop",), (), PLATFORM) == ("shop",)
    assert audience_of(("shop", "notification"), (), PLATFORM) is None
    assert audience_of(("shop", "cart"), (), PLATFORM) is None
    assert audience_of(("notification", "gateway-lookup"), (), PLATFORM) == ("notification", "gateway-lookup")


def test_a_restricted_key_reaches_no_further():
    assert audience_of((), ("shop",), PLATFORM) == ("shop",)
    assert audience_of(("shop",), ("shop", "cart"), PLATFORM) == ("shop",)
    assert audience_of(("notification",), ("shop",), PLATFORM) is None
