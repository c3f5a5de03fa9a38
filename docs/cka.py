"""Measures the numbers of cka.md on planted networks, and writes them into its tables.

python docs/cka.py           (half a minute on one core; needs the tests, whose planted networks it takes)
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

from sweeper.spec.records.rows import SimilarityRow, StitchRow  # noqa: E402
from sweeper.spec.records.task import Measure, Model  # noqa: E402

STRONG = model(2, arch="myrtle")
WEAK = model(3, arch="myrtle", samples=50)
STEPS = 60  # of a stitcher
LATE = "conv4"  # where the strong and the weak network are joined


class Line(NamedTuple):
    """A row of a table: its name, and numbers by column. Similarities lie in [0, 1]; the rest are points of error."""

    name: str
    numbers: Mapping[str, float]


def spurious() -> list[Line]:
    """B, and copies that have as many channels of noise beside B's own."""
    lines = [Line("no noise", _beside(plants.exact(STRONG), debiased=True))]
    return lines + [
        Line(f"noise {loudness:g} times as loud", _beside(plants.padded(STRONG, loudness), debiased=True))
        for loudness in (1.0, 2.0, 4.0, 8.0)
    ]


def shuffled() -> list[Line]:
    """B, and copies that show its places in another order."""
    lines = [Line("as they are", _beside(plants.exact(STRONG), solved=True))]
    return lines + [
        Line(f"shuffled, order {seed}", _beside(plants.shuffled(STRONG, seed), solved=True)) for seed in (1, 2)
    ]


def symmetry() -> list[Line]:
    """A network of 1,200 images and one of 50, each into the other and into itself; stitchers see B's own images."""
    pairs = {"strong into weak": (STRONG, WEAK), "weak into strong": (WEAK, STRONG)}
    return [Line(name, _directed(a, b)) for name, (a, b) in pairs.items()]


def units() -> list[Line]:
    """Copies with one channel made louder, which a norm undoes, and copies that lack all but the loudest directions."""
    copies: Mapping[str, Model] = {
        "one channel 3 times as loud": plants.louder(STRONG, 3.0),
        "one channel 100 times as loud": plants.louder(STRONG, 100.0),
        "4 of 16 directions": plants.principal(STRONG, 4),
        "2 of 16 directions": plants.principal(STRONG, 2),
        "1 of 16 directions": plants.principal(STRONG, 1),
    }
    return [Line(name, _beside(copy, solved=True)) for name, copy in copies.items()]


TABLES: Mapping[str, Callable[[], list[Line]]] = {
    "spurious": spurious,
    "shuffled": shuffled,
    "symmetry": symmetry,
    "units": units,
}


def _beside(a: Model, debiased: bool = False, solved: bool = False) -> Mapping[str, float]:
    """Linear CKA of a copy and B, and the penalty of its conv1x1 stitch."""
    cut = plants.CUT
    trained, closed = (stitch(a, STRONG, cut, steps=steps) for steps in (STEPS, 0))
    plain, unbiased = (plants.measure(a, STRONG, "linear_cka", debiased=option) for option in (False, True))
    tasks = [plain, *[unbiased] * debiased, trained, *[closed] * solved]
    rows = plants.receipts(*tasks)
    found = {"linear CKA": _value(rows[plain.id])}
    if debiased:
        found["debiased"] = _value(rows[unbiased.id])
    if solved:
        found["penalty, solved"] = _stitched(rows[closed.id]).penalty
    return found | {"penalty": _stitched(rows[trained.id]).penalty}


def _directed(a: Model, b: Model) -> Mapping[str, float]:
    """CKA at a late cut, B's own error, and what A brings: the gain, and that beyond B's stitch into itself."""
    joined, itself = (stitch(sender, b, LATE, steps=STEPS, data="top") for sender in (a, b))
    cka = Measure("cka", a, LATE, b, LATE, "linear_cka", (("debiased", False),))
    rows = plants.receipts(joined, cka) | plants.receipts(itself)
    row, own = (_stitched(rows[task.id]) for task in (joined, itself))
    return {
        "linear CKA": _value(rows["cka"]),
        "error of B": row.b_error,
        "stitched": row.test_error,
        "gain": row.gain,
        "net gain": row.gain - own.gain,
    }


def _value(row: object) -> float:
    assert isinstance(row, SimilarityRow), row
    return row.value


def _stitched(row: object) -> StitchRow:
    assert isinstance(row, StitchRow), row
    return row


def written(lines: list[Line]) -> str:
    """A table in Markdown."""
    columns = list(lines[0].numbers)
    head = ["| | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    return "\n".join(
        [
            *head,
            *(
                f"| {line.name} | {' | '.join(map(_number, *zip(*line.numbers.items(), strict=True)))} |"
                for line in lines
            ),
        ]
    )


def is_similarity(column: str) -> bool:
    return column in ("linear CKA", "debiased")


def _number(column: str, number: float) -> str:
    return f"{number:.3f}" if is_similarity(column) else f"{number:.1f}".replace("-0.0", "0.0")


def page(text: str, tables: Mapping[str, list[Line]]) -> str:
    """The page with its tables written anew, each between <!-- name --> and the next empty line."""
    for name, lines in tables.items():
        text, count = re.subn(
            rf"(?<=<!-- {name} -->\n\n).*?(?=\n\n)", lambda _, lines=lines: written(lines), text, flags=re.S
        )
        assert count == 1, name
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), {name: make() for name, make in TABLES.items()}), "utf-8")
    print(f"docs/{PAGE.name}")
