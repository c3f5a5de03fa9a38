"""The paper's curves, as read off its figures (`analysis/paper/README.md` says how well)."""

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from sweeper.resources import paper_dir

# Readings give x to four digits; a cut that far outside a curve lies on its end.
_SLACK = 1e-3


@dataclass(frozen=True, slots=True)
class Reading:
    """A value of a curve, and by how much the reading may be off, both in the curve's unit."""

    value: float
    uncertainty: float


@dataclass(frozen=True, slots=True)
class Curve:
    """One series of a figure: its markers in order of x, markers of one x taken together."""

    figure: str
    name: str
    quantity: str
    points: Mapping[float, Reading]

    def at(self, x: float) -> Reading | None:
        """The curve at x, straight lines between its markers; None beyond its ends.

        The uncertainty is that of the nearer marker's line, interpolated likewise.
        """
        below = max((known for known in self.points if known <= x + _SLACK), default=None)
        above = min((known for known in self.points if known >= x - _SLACK), default=None)
        if below is None or above is None:
            return None
        left, right = self.points[below], self.points[above]
        share = (x - below) / (above - below) if above > below else 0.0
        return Reading(
            left.value + share * (right.value - left.value),
            left.uncertainty + share * (right.uncertainty - left.uncertainty),
        )


def curves(path: Path | None = None) -> tuple[Curve, ...]:
    """Every curve, in the order of the file."""
    with (path or paper_dir() / "figures.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = groupby(rows, key=lambda row: (row["figure"], row["series"], row["quantity"]))
    return tuple(Curve(*names, _markers(markers)) for names, markers in found)


def _markers(rows: Iterable[Mapping[str, str]]) -> dict[float, Reading]:
    by_x = groupby(sorted(rows, key=lambda row: float(row["x"])), key=lambda row: float(row["x"]))
    return {x: _together([Reading(float(r["value"]), float(r["uncertainty"])) for r in at]) for x, at in by_x}


def _together(readings: list[Reading]) -> Reading:
    """The middle of several markers of one x; what they differ by is uncertainty, too."""
    values = [reading.value for reading in readings]
    spread = (max(values) - min(values)) / 2
    return Reading(math.fsum(values) / len(values), max(r.uncertainty for r in readings) + spread)
