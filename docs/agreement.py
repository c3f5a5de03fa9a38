"""The table of docs/paper.md that says how much of each figure agrees with the paper and how much disagrees.

    python docs/agreement.py           (or: make docs)

It is read from the summaries in docs/results.md. `tests/test_docs.py` checks that the table is current, and that the
text of docs/paper.md states for each figure with signs what `in_words` returns: agreement never stands alone.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
PAGE, RESULTS = HERE / "paper.md", HERE / "results.md"
BEGIN = "<!-- Written by docs/agreement.py, from results.md, up to the next such line. -->\n"
END = "<!-- End of the table of docs/agreement.py. -->\n"
HEADINGS = (
    "figure", "job", "curves", "net sign by the interval", "sign by the mean", "sign by the interval", "size", "order",
)  # fmt: skip


class Agreement(NamedTuple):
    """The counts of agreement and disagreement of one figure in one setting, as `sweeper audit` summarises them."""

    job: str
    figure: str
    curves: str  # the names of the compared curves
    points: int
    signed: int | None  # points with a sign in the paper; None: the quantity has no sign
    net_same: int | None  # points whose net penalty has the paper's sign, by the interval; None: without net penalties
    net_opposite: int
    same_by_mean: int  # of these, those whose mean has the paper's sign
    same: int  # those whose interval shows this sign
    opposite: int  # those whose interval shows the other sign
    agrees: int  # points whose size agrees
    disagrees: int
    ordered: int | None  # pairs of curves with an order in the paper; None: no pairs
    same_order: int


def agreements(results: str) -> list[Agreement]:
    """Return the counts of every summary of a figure in the text of docs/results.md, in its order."""
    counts: list[Agreement] = []
    for section in re.split(r"^## ", results, flags=re.M)[1:]:
        job = section.splitlines()[0]
        for figure, text in re.findall(r"^### figure (\S+), summary\n(.*?)(?=^###? |\Z)", section, flags=re.M | re.S):
            tables = re.findall(r"(?:^\*\*(.*?)\*\*\n\n)?((?:^\|.*\n?)+)", text, flags=re.M)
            several = len({tuple(_curves(table)) for _, table in tables}) < len(tables)
            for setting, table in tables:
                counts.append(_agreement(job, figure, setting.replace("\\", "") if several else "", table))
    return counts


def _rows(table: str) -> list[dict[str, str]]:
    heading, _, *lines = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines())
    return [dict(zip(heading, line, strict=True)) for line in lines]


def _curves(table: str) -> list[str]:
    return [row["curve"] for row in _rows(table) if row["curve"] != "(all)"]


def _agreement(job: str, figure: str, setting: str, table: str) -> Agreement:
    row = _rows(table)[-1]  # the only curve, or "(all)"
    same_by_mean, signed = _two_numbers(row.get("same sign", "–"))
    agrees, points = _two_numbers(row["agrees"])
    same_order, ordered = _two_numbers(row.get("order", "–"))
    net_same, net_opposite = (_number(row.get(f"net {name}")) for name in ("same", "opposite"))
    curves = ", ".join([*_curves(table), *([setting] if setting else [])])
    return Agreement(
        job, figure, curves, points or 0, signed, net_same, net_opposite or 0, same_by_mean,
        int(row.get("same", 0)), int(row.get("opposite", 0)), agrees, int(row["disagrees"]), ordered, same_order,
    )  # fmt: skip


def _number(cell: str | None) -> int | None:
    """Return the number in a cell, if there is one."""
    return int(cell) if cell and cell.isdigit() else None


def _two_numbers(cell: str) -> tuple[int, int | None]:
    """Return the two numbers of a cell such as "10 of 14"; (0, None) if it has none."""
    numbers = re.fullmatch(r"(\d+) of (\d+)", cell)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, None)


def in_words(counts: Agreement) -> str:
    """Return the counts as the text of docs/paper.md states them."""
    parts = []
    if counts.signed is not None:
        parts.append(
            f"{counts.same_by_mean} of {counts.signed} means have the paper's sign (by the intervals {counts.same} the "
            f"same, {counts.opposite} the opposite)"
        )
    if counts.net_same is not None:
        parts.append(f"net of B into itself {counts.net_same} intervals have it, {counts.net_opposite} the opposite")
    parts.append(f"{counts.agrees} of {counts.points} sizes agree and {counts.disagrees} disagree")
    if counts.ordered is not None:
        parts.append(f"{counts.same_order} of {counts.ordered} orders agree")
    return "; ".join(parts)


def table(counts: list[Agreement]) -> str:
    """Return the table in Markdown."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *map(_cells, counts)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cells(counts: Agreement) -> Iterator[str]:
    yield from (counts.figure, f"`{counts.job}`", counts.curves)
    if counts.signed is None or counts.net_same is None:
        yield "–"
    else:
        undecided = counts.signed - counts.net_same - counts.net_opposite
        yield f"{counts.net_same} the same, {counts.net_opposite} opposite, {undecided} undecided"
    if counts.signed is None:
        yield from ("–", "–")
    else:
        yield f"{counts.same_by_mean} of {counts.signed} the same"
        undecided = counts.signed - counts.same - counts.opposite
        yield f"{counts.same} the same, {counts.opposite} opposite, {undecided} undecided"
    undecided = counts.points - counts.agrees - counts.disagrees
    yield f"{counts.agrees} agree, {counts.disagrees} disagree, {undecided} undecided"
    yield "–" if counts.ordered is None else f"{counts.same_order} of {counts.ordered} the same"


def page() -> str:
    """Return the text of docs/paper.md with a current table."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{table(agreements(RESULTS.read_text(encoding='utf-8')))}\n{END}{after}"


def main() -> None:
    """Write the table into the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
