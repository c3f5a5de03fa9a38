"""The numbers of cka.md, measured on planted networks and written into its tables.

python docs/cka.py           (half a minute on one core; imports the planted networks of the tests)
"""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "cka.md"
sys.path.insert(0, str(ROOT / "tests"))

from support import planted_networks as plants  # noqa: E402
from support.packs import model, stitch  # noqa: E402

from sweeper.spec.cards.protocols import STRICT  # noqa: E402
from sweeper.spec.records.rows import SimilarityRow, StitchRow  # noqa: E402
from sweeper.spec.records.task import Measurement, Model  # noqa: E402

STRONG = model(2, arch="myrtle")
WEAK = model(3, arch="myrtle", samples=50)
STEPS = STRICT.steps  # of a stitcher
LATE = "conv4"  # the cut at which the strong and the weak network are stitched


class Line(NamedTuple):
    """A row of a table: its name and its numbers by column, similarities in [0, 1] or points of error."""

    name: str
    numbers: Mapping[str, float]


def spurious() -> list[Line]:
    """Compare B with copies that have additional channels of noise, as many as B's own."""
    lines = [Line("no noise", _compare_copy(plants.exact(STRONG), debiased=True))]
    return lines + [
        Line(
            f"noise of {amplitude:g} times the amplitude",
            _compare_copy(plants.padded(STRONG, amplitude), debiased=True),
        )
        for amplitude in (1.0, 2.0, 4.0, 8.0)
    ]


def shuffled() -> list[Line]:
    """Compare B with copies that have its places in another order."""
    lines = [Line("original order", _compare_copy(plants.exact(STRONG), solved=True))]
    return lines + [
        Line(f"shuffled, order {seed}", _compare_copy(plants.shuffled(STRONG, seed), solved=True)) for seed in (1, 2)
    ]


def symmetry() -> list[Line]:
    """Stitch networks of 1,200 and of 50 images into each other and into themselves, trained on B's own images."""
    pairs = {"strong into weak": (STRONG, WEAK), "weak into strong": (WEAK, STRONG)}
    return [Line(name, _compare_pair(a, b)) for name, (a, b) in pairs.items()]


def units() -> list[Line]:
    """Compare B with copies that have one channel of larger amplitude, or only the directions of largest variance."""
    copies: Mapping[str, Model] = {
        "one channel of 3 times the amplitude": plants.amplified(STRONG, 3.0),
        "one channel of 100 times the amplitude": plants.amplified(STRONG, 100.0),
        "4 of 16 directions": plants.principal(STRONG, 4),
        "2 of 16 directions": plants.principal(STRONG, 2),
        "1 of 16 directions": plants.principal(STRONG, 1),
    }
    return [Line(name, _compare_copy(copy, solved=True)) for name, copy in copies.items()]


TABLES: Mapping[str, Callable[[], list[Line]]] = {
    "spurious": spurious,
    "shuffled": shuffled,
    "symmetry": symmetry,
    "units": units,
}


def _compare_copy(a: Model, debiased: bool = False, solved: bool = False) -> Mapping[str, float]:
    """Return linear CKA of a copy and B, and the penalty of its conv1x1 stitch."""
    cut = plants.CUT
    trained, closed = (stitch(a, STRONG, cut, steps=steps) for steps in (STEPS, 0))
    plain, unbiased = (plants.measure(a, STRONG, "linear_cka", debiased=option) for option in (False, True))
    tasks = [plain, *[unbiased] * debiased, trained, *[closed] * solved]
    rows = plants.receipts(*tasks)
    numbers = {"linear CKA": _value(rows[plain.id])}
    if debiased:
        numbers["debiased"] = _value(rows[unbiased.id])
    if solved:
        numbers["penalty, solved"] = _stitched(rows[closed.id]).penalty
    return numbers | {"penalty": _stitched(rows[trained.id]).penalty}


def _compare_pair(a: Model, b: Model) -> Mapping[str, float]:
    """Return CKA at a late cut, B's own error, the stitch's error, its gain, and its net gain."""
    stitch_task, self_stitch_task = (stitch(bottom, b, LATE, steps=STEPS, data="top") for bottom in (a, b))
    cka = Measurement("cka", a, LATE, b, LATE, "linear_cka", (("debiased", False),))
    rows = plants.receipts(stitch_task, cka) | plants.receipts(self_stitch_task)
    row, self_row = (_stitched(rows[task.id]) for task in (stitch_task, self_stitch_task))
    return {
        "linear CKA": _value(rows["cka"]),
        "error of B": row.b_error,
        "stitched": row.test_error,
        "gain": row.gain,
        "net gain": row.gain - self_row.gain,
    }


def _value(row: object) -> float:
    assert isinstance(row, SimilarityRow), row
    return row.value


def _stitched(row: object) -> StitchRow:
    assert isinstance(row, StitchRow), row
    return row


def table_as_markdown(lines: list[Line]) -> str:
    """Return a table in Markdown."""
    columns = list(lines[0].numbers)
    header_lines = ["| | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    return "\n".join(
        [
            *header_lines,
            *(
                f"| {line.name} | {' | '.join(map(_number, *zip(*line.numbers.items(), strict=True)))} |"
                for line in lines
            ),
        ]
    )


def is_similarity(column: str) -> bool:
    """Return True for a column of similarities in [0, 1], False for one of points of error."""
    return column in ("linear CKA", "debiased")


def _number(column: str, number: float) -> str:
    return f"{number:.3f}" if is_similarity(column) else f"{number:.1f}".replace("-0.0", "0.0")


def page(text: str, tables: Mapping[str, list[Line]]) -> str:
    """Return the page with its tables replaced, each between <!-- name --> and the next empty line."""
    for name, lines in tables.items():
        text, count = re.subn(
            rf"(?<=<!-- {name} -->\n\n).*?(?=\n\n)", lambda _, lines=lines: table_as_markdown(lines), text, flags=re.S
        )
        assert count == 1, name
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), {name: make() for name, make in TABLES.items()}), "utf-8")
    print(f"docs/{PAGE.name}")
