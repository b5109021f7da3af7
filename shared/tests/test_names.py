import pytest
from fountain_common.errors import InvalidName
from fountain_common.names import PLATFORM, service_name, snake


@pytest.mark.parametrize(
    ("raw", "name"), [("orders", "orders"), ("a_b", "a-b"), ("2fa", "2fa"), ("x" * 63, "x" * 63)]
)
def test_a_name_has_one_form(raw: str, name: str) -> None:
    assert service_name(raw) == name


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "-a",
        "_a",
        "Orders",
        "a.b",
        "a/b",
        "..",
        "a b",
        "a\n",
        "a%2fb",
        "x" * 64,
        "ördérs",
        "o\u0433ders",
        "ａ",
        "a\u200bb",
    ],
)
def test_what_is_no_name_is_refused_and_not_mended(raw: str) -> None:
    with pytest.raises(InvalidName) as error:
        service_name(raw)
    assert error.value.status == 422
    assert raw == "" or raw not in str(error.value)


def test_the_package_of_a_service_is_its_name_in_snake_case() -> None:
    assert [snake(name) for name in PLATFORM] == ["secrets_manager", "notification", "gateway_lookup"]
