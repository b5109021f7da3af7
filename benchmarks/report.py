"""What `make bench` prints and writes."""

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Budget, Result, significant


def machine() -> str:
    """The machine in a line: processor, cores, memory, system, Python."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or "unknown processor",
    )
    total = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    memory = f"{int(total) / 2**20:.0f} GiB"
    return (
        f"{model}, {os.cpu_count()} cores, {memory}, {platform.system()}, Python {platform.python_version()}"
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def measured(result: Result) -> str:
    """A result's value with its unit, or why there is none."""
    if result.value is None:
        return "broken" if result.broken else "not run"
    return f"{significant(result.value):g} {result.budget.unit}"


def spread(result: Result, between: str) -> str:
    """The worst and the best round of a result."""
    return "" if result.spread is None else between.join(f"{significant(end):g}" for end in result.spread)


def line(result: Result) -> str:
    """A result in a line, as it comes."""
    value = measured(result)
    limits = f"floor {result.budget.floor:g}, aim {result.budget.aim:g}"
    return f"{result.budget.name}: {value} ({limits}) {result.note}"


def show(results: list[Result], console: Console) -> None:
    """Print the table."""
    table = Table(title=f"Budgets on {machine()}", title_justify="left")
    for heading in ("what", "value", "spread", "floor", "aim", "against", "", "measured"):
        table.add_column(heading)
    for result in results:
        budget = result.budget
        mark = {True: "[green]met[/]", False: "[red]missed[/]", None: "[yellow]not run[/]"}[result.ok]
        row = [
            budget.name,
            measured(result),
            spread(result, " - "),
            f"{budget.floor:g}",
            f"{budget.aim:g}",
            result.peer,
            mark,
            result.note,
        ]
        table.add_row(*row)
    console.print(table)


def write(results: list[Result], path: Path) -> None:
    """Write `latest.json`: a list with one object a row."""
    path.write_text(json.dumps([result.as_json() for result in results], indent=2) + "\n")


def read(path: Path, budgets: Sequence[Budget]) -> list[Result]:
    """Read what was measured of these budgets; nothing where the file is missing or broken."""
    known = {budget.name: budget for budget in budgets}
    try:
        return [
            Result(
                known[row["name"]],
                row["value"],
                row["peer"],
                row["spread"] and tuple(row["spread"]),
                row["note"],
                row["value"] is None and row["ok"] is False,
                row.get("measured_at", ""),
            )
            for row in json.loads(path.read_text())
            if row["name"] in known
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def joined(results: Sequence[Result], path: Path, budgets: Sequence[Budget]) -> list[Result]:
    """Return what stands in the file with these results in their places, in the order of the budgets."""
    rows = {result.budget.name: result for result in [*read(path, budgets), *results]}
    return [rows[budget.name] for budget in budgets if budget.name in rows]
