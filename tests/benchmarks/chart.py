"""Draws our rate beside each peer's and the limit's as an SVG that is readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from benchmarks.summary import Measured

WIDTH, LABEL, BAR, ROW, GAP = 860, 210, 430, 20, 34
STYLE = """\
text { font: 12px sans-serif; fill: #24292f; } .title { font-weight: bold; font-size: 13px; }
.ours { fill: #1f6feb; } .peer { fill: #8c959f; } .limit { fill: #57ab5a; }
.spread { stroke: #cf222e; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .peer { fill: #6e7681; } .spread { stroke: #ff7b72; } }"""


@dataclass(frozen=True)
class Panel:
    """One group of bars; `unit` is what is counted per second."""

    title: str
    unit: str
    bars: Sequence[Measured]


def draw(panels: Sequence[Panel]) -> str:
    """Return the chart; a bar is the median rate, the thin line over it goes from the least to the greatest."""
    body: list[str] = []
    top = 10
    for panel in panels:
        body.append(_text(10, top + 14, panel.title, "title"))
        longest = max(bar.rows / bar.least_seconds for bar in panel.bars)
        for number, bar in enumerate(panel.bars):
            body += _bar(bar, top + 24 + number * ROW, longest, panel.unit)
        top += GAP + len(panel.bars) * ROW
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}">'
    )
    return "\n".join([head, f"<style>{STYLE}</style>", *body, "</svg>", ""])


def _bar(bar: Measured, top: int, longest: float, unit: str) -> list[str]:
    length, middle = bar.rate / longest * BAR, top + ROW // 2 - 2
    kind = "ours" if bar.who.startswith("ours") else "limit" if bar.who == "limit" else "peer"
    least, most = (
        bar.rows / seconds / longest * BAR for seconds in (bar.greatest_seconds, bar.least_seconds)
    )
    return [
        _text(LABEL - 8, middle + 4, bar.who, anchor="end"),
        f'<rect class="{kind}" x="{LABEL}" y="{top}" width="{length:.1f}" height="{ROW - 5}"/>',
        f'<line class="spread" x1="{LABEL + least:.1f}" x2="{LABEL + most:.1f}" y1="{middle}" y2="{middle}"/>',
        _text(LABEL + BAR + 10, middle + 4, f"{bar.rate:,.0f} {unit}"),
    ]


def _text(x: int, y: int, text: str, style: str = "", anchor: str = "start") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def panels(found: Mapping[tuple[str, str], Measured], titles: Mapping[str, tuple[str, str]]) -> list[Panel]:
    """Return a panel for each titled group that holds at least two bars, the fastest first."""
    made = []
    for group, (title, unit) in titles.items():
        bars = sorted((m for (g, _), m in found.items() if g == group), key=lambda m: -m.rate)
        if len(bars) > 1:
            made.append(Panel(title, unit, bars))
    return made
