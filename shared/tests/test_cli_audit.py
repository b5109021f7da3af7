"""The audit is verified part by part."""

from typing import Any

from fountain_cli.commands.audit import in_parts


def part(first: int, last: int, following: int | None, *findings: str) -> dict[str, Any]:
    return {
        "intact": not findings, "records": last - first + 1, "first": first, "last": last,
        "head": f"{last:064x}", "heads_checked": 1, "findings": list(findings), "more": False,
        "next": following,
    }  # fmt: skip


def test_what_was_found_in_any_part_is_found() -> None:
    parts = {None: part(1, 100, 100, "edited"), 100: part(101, 200, 200), 200: part(201, 250, None)}
    heard: list[int] = []
    found = in_parts(parts.__getitem__, heard.append)
    assert (found["intact"], found["findings"], found["more"]) == (False, ["edited"], False)
    assert (found["first"], found["last"], found["records"], found["heads_checked"]) == (1, 250, 250, 3)
    assert (found["head"], found["next"], heard) == (f"{250:064x}", None, [100, 200])


def test_one_part_is_the_whole() -> None:
    assert in_parts({None: part(1, 9, None)}.__getitem__, lambda records: None) == part(1, 9, None)


def test_an_answer_that_knows_no_parts_is_the_whole() -> None:
    whole = {key: value for key, value in part(1, 9, None).items() if key != "next"}
    assert in_parts({None: whole}.__getitem__, lambda records: None) == whole
