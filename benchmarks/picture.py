"""The results as a picture and a table for `docs/performance.md`: how far each budget is from its floor."""

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from benchmarks.measure import Result
from benchmarks.report import machine, measured, spread

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_ROW, _LEFT, _WIDTH, _RIGHT, _TOP = 26, 330, 420, 150, 46
_DECADES = 1.0
"""The scale goes from a tenth of the floor to ten times as good; what is beyond stops at the edge."""


def merit(result: Result, value: float) -> float:
    """How many times better than the floor a value is; 1 is the floor, below it the floor is missed."""
    floor = result.budget.floor
    return value / floor if result.budget.higher else floor / value


def table(results: Sequence[Result]) -> str:
    """The results as a table in Markdown."""
    lines = ["| what | measured | spread | floor | aim | |", "|---|---|---|---|---|---|"]
    for result in results:
        budget = result.budget
        shown = [
            budget.name,
            measured(result),
            spread(result, " to "),
            f"{budget.floor:g}",
            f"{budget.aim:g}",
        ]
        lines.append(f"| {' | '.join([*shown, _verdict(result)])} |")
    return "\n".join(lines)


def _verdict(result: Result) -> str:
    if not result.ok:
        return "**below the floor**" if result.value is not None else result.note
    assert result.value is not None
    better = result.value >= result.budget.aim if result.budget.higher else result.value <= result.budget.aim
    return "aim" if better else "floor"


def picture(results: Sequence[Result]) -> str:
    """The results as SVG: a bar from worst to best round, a dot at the median, a line at the floor."""
    drawn = [result for result in results if result.value]
    height = _TOP + _ROW * len(drawn) + 16
    width = _LEFT + _WIDTH + _RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="system-ui, sans-serif" font-size="13">',
        "<style>text{fill:#1b2733}.q{fill:#5b6b7a}.g{stroke:#d5dde5}.f{stroke:#1b2733}.a{fill:#1b2733}"
        "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.q{fill:#9aa7b4}.g{stroke:#36424e}"
        ".f{stroke:#e6edf3}.a{fill:#e6edf3}}</style>",
    ]
    for times in (0.1, 0.2, 0.5, 1, 2, 5, 10):
        x = _x(times)
        kind = "f" if times == 1 else "g"
        parts.append(f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}" y2="{height - 10}"/>')
        label = "floor" if times == 1 else f"{times:g} x"
        parts.append(f'<text class="q" x="{x:.1f}" y="{_TOP - 16}" text-anchor="middle">{label}</text>')
    for number, result in enumerate(drawn):
        parts += _bar(result, _TOP + _ROW * number + _ROW / 2)
    return "\n".join([*parts, "</svg>", ""])


def _bar(result: Result, y: float) -> list[str]:
    assert result.value is not None
    value = merit(result, result.value)
    ends = result.spread or (result.value, result.value)
    low, high = sorted(_x(merit(result, end)) for end in ends)
    aim = _x(merit(result, result.budget.aim))
    colour = "#1a7f4b" if result.ok else "#c2410c"
    shown = measured(result)
    return [
        f'<text x="{_LEFT - 14}" y="{y + 4:.1f}" text-anchor="end">{escape(result.budget.name)}</text>',
        f'<rect x="{low:.1f}" y="{y - 5:.1f}" width="{max(2, high - low):.1f}" height="10" rx="3" '
        f'fill="{colour}" opacity="0.35"/>',
        f'<circle cx="{_x(value):.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>',
        f'<path class="a" d="M{aim:.1f} {y - 9:.1f}l4 -5h-8z"/>',
        f'<text class="q" x="{_LEFT + _WIDTH + 14}" y="{y + 4:.1f}">{escape(shown)}</text>',
    ]


def _x(times: float) -> float:
    share = (math.log10(max(times, 1e-9)) + _DECADES) / (2 * _DECADES)
    return _LEFT + _WIDTH * min(1, max(0, share))


def document(results: Sequence[Result], page: Path, image: Path, day: str) -> None:
    """Put table and picture into the page, between its two marks."""
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for the results: {BEGIN} and {END}")
    image.write_text(picture(results))
    body = (
        f"\n{machine()}; {day}.\n\n![how far each budget is from its floor](images/{image.name})\n\n"
        "The dot is the median of the rounds, the bar goes from the worst to the best, the triangle is the "
        "aim.\nTo the right of the line is better than the floor.\n\n"
        f"{table(results)}\n"
    )
    page.write_text(f"{before}{BEGIN}{body}{END}{after}")
