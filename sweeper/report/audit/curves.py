"""The paper's curves, read from its figures (`analysis/paper/README.md` gives the accuracy)."""

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from sweeper.resources import paper_dir

# The readings give x to four digits, so a cut this close to the end of a curve counts as its end.
_X_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Reading:
    """A value of a curve with the uncertainty of its reading, both in the curve's unit."""

    value: float
    uncertainty: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A series of a figure, by x; markers with the same x are merged."""

    figure: str
    name: str
    quantity: str
    points: Mapping[float, Reading]

    def at(self, x: float) -> Reading | None:
        """Interpolate the curve linearly at x; return None beyond its ends.

        The uncertainty is interpolated in the same way.
        """
        left_x = max((marker for marker in self.points if marker <= x + _X_TOLERANCE), default=None)
        right_x = min((marker for marker in self.points if marker >= x - _X_TOLERANCE), default=None)
        if left_x is None or right_x is None:
            return None
        left, right = self.points[left_x], self.points[right_x]
        share = (x - left_x) / (right_x - left_x) if right_x > left_x else 0.0
        return Reading(
            left.value + share * (right.value - left.value),
            left.uncertainty + share * (right.uncertainty - left.uncertainty),
        )


def curves(path: Path | None = None) -> tuple[Curve, ...]:
    """Read all curves, in the order of the file (default: `figures.csv` of the paper)."""
    with (path or paper_dir() / "figures.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    groups = groupby(rows, key=lambda row: (row["figure"], row["series"], row["quantity"]))
    return tuple(Curve(*names, _markers(markers)) for names, markers in groups)


def _markers(rows: Iterable[Mapping[str, str]]) -> dict[float, Reading]:
    by_x = groupby(sorted(rows, key=lambda row: float(row["x"])), key=lambda row: float(row["x"]))
    return {
        x: _merge_markers([Reading(float(r["value"]), float(r["uncertainty"])) for r in same_x]) for x, same_x in by_x
    }


def _merge_markers(readings: list[Reading]) -> Reading:
    """Return the mean of markers with the same x; half their range adds to the uncertainty."""
    values = [reading.value for reading in readings]
    spread = (max(values) - min(values)) / 2
    return Reading(math.fsum(values) / len(values), max(r.uncertainty for r in readings) + spread)
