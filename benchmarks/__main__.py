"""`python -m benchmarks`: measure every budget, print the table, write `benchmarks/latest.json`.

With `--only`, the other rows of that file stay as they are.
"""

import argparse
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks import picture, report
from benchmarks.measure import Result
from benchmarks.processes import NotRun
from benchmarks.rows import Row, Run, all_rows


def main() -> int:
    """Run the rows asked for; 0 when every floor was met, 1 when one was missed, 2 when one was not run."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds a row (default 5)")
    parser.add_argument("--seconds", type=int, default=3, help="length of a round of load (default 3)")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--document", action="store_true", help="write them into docs/performance.md too")
    options = parser.parse_args()
    console = Console(width=160)
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="fountain-bench-") as folder:
        run = Run(Path(folder), options.rounds, options.seconds)
        with run.closing:
            for row in all_rows():
                if options.only in row.name:
                    console.print(f"measuring {row.name} ...")
                    for result in _measured(row, run):
                        console.print(f"  {report.line(result)}")
                        results.append(result)
    report.show(results, console)
    latest = Path(__file__).with_name("latest.json")
    budgets = [budget for row in all_rows() for budget in row.budgets]
    written = report.joined(results, latest, budgets) if options.only else results
    report.write(written, latest)
    if options.document:
        docs = Path(__file__).parents[1] / "docs"
        today = datetime.now(UTC).date().isoformat()
        picture.document(written, docs / "performance.md", docs / "images" / "performance.svg", today)
    verdicts = {result.ok for result in results}
    return 1 if False in verdicts else 2 if None in verdicts else 0


def _measured(row: Row, run: Run) -> Iterator[Result]:
    measured: set[str] = set()
    try:
        for result in row.measure(run):
            measured.add(result.budget.name)
            yield result
    except NotRun as reason:
        for budget in row.budgets:
            if budget.name not in measured:
                yield Result(budget, None, row.peer, note=str(reason))


if __name__ == "__main__":
    raise SystemExit(main())
