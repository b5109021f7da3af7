"""What is taken for an answer, and what stands for secret values."""

import httpx2
import pytest

from chaos.load import fingerprint, is_about_a_link


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (httpx2.Response(307), True),
        (httpx2.Response(410, json={"instance": "/links/x"}), True),
        (httpx2.Response(404, json={"detail": "This link is not valid. Ask for one."}), True),
        (httpx2.Response(404, html="<h1>Nobody of this name is here</h1>"), False),
        (httpx2.Response(404, json={"detail": "Not Found", "instance": "/links/x"}), False),
        (httpx2.Response(404, json=["x"]), False),
        (httpx2.Response(503, json={"instance": "/links/x"}), False),
    ],
)
def test_only_the_consumers_own_word_is_about_a_link(answer: httpx2.Response, word: bool) -> None:
    assert is_about_a_link(answer) is word


def test_a_fingerprint_tells_values_apart_and_does_not_show_them() -> None:
    first, second = {"JWT_SECRET": "hidden", "DB_PASSWORD": "b"}, {"JWT_SECRET": "hidden", "DB_PASSWORD": "c"}
    assert fingerprint(first) == fingerprint(dict(reversed(first.items())))
    assert fingerprint(first) != fingerprint(second)
    assert "hidden" not in fingerprint(first)
