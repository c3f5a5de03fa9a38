"""Audits as tables like those of `sweeper tables` (points, summary, deviations), as lines, and as JSON."""

import json as json_writer
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import pyarrow as pa

from sweeper.report.format import markdown as table_as_markdown
from sweeper.report.question import Parameter, Question
from sweeper.report.tables import FIXED_IMAGES, Table
from sweeper.report.terminal import terminal as tables_in_terminal

from . import agree
from .audit import Audit
from .compare import ALL, Compared, CurveSummary, Point
from .definition import Figure
from .select import settings

_FOLDERS = ("parquet", "imagefolder")
_PIXELS = "A folder's images need not be the data set's own pixels (JPEG loses some); the store doesn't say."

Row = dict[str, object]


def terminal(audits: Sequence[Audit], width: int = 80, color: bool = False) -> str:
    """As text of at most `width` cells a line, ended by a line for each figure that the store has nothing for."""
    found = tables_in_terminal([table for audit in audits for table in tables(audit)], width, color)
    return found + "\n".join([*map(missing, _empty(audits)), ""])


def markdown(audits: Sequence[Audit]) -> str:
    """As `sweeper tables` does it, ended by a list of the figures that the store has nothing for."""
    found = [table_as_markdown(table) for audit in audits for table in tables(audit)]
    return "\n".join([*found, *(f"- {missing(audit)}" for audit in _empty(audits)), ""])


def json(audits: Sequence[Audit]) -> str:
    """A list of figures: what was asked, the rule, and what was compared, every number in full."""
    return json_writer.dumps([_as_json(audit) for audit in audits], indent=2, ensure_ascii=False, default=str)


def missing(audit: Audit) -> str:
    """The line of a figure that the store has nothing for: what would fill it."""
    figure = audit.figure
    first, *others = figure.fills or ("",)
    more = f" (or {', '.join(others)})" if others else ""
    how = f"`sweeper run {first}`{more} would fill it" if first else f"it takes {figure.lacks}"
    return f"figure {figure.name}: nothing in this store stands for it; {how}"


def tables(audit: Audit) -> list[Table]:
    """The points, the summary and the deviations of a figure; none where the store has nothing for it."""
    return [_points(audit), _short(audit), _deviations(audit)] if audit.compared else []


def rule(figure: Figure) -> str:
    """The rule of `agree` as far as it concerns a figure."""
    return " ".join([agree.SIGN_RULE] * figure.signed + [agree.SIZE_RULE, agree.ORDER_RULE])


def _points(audit: Audit) -> Table:
    figure = audit.figure
    names = settings(figure)
    question = Question(
        name=f"figure {figure.name}",
        question=figure.question,
        one_row_per="curve of the paper, and place on its axis",
        read_it_as=f"{figure.quantity.replace('_', ' ')} here, its 95 % interval over training runs, and the paper's "
        "value, of a single run; excess: here minus paper; ratio: here over paper, where that is beyond the margin",
        sql="",
        rule=rule(figure),
        parameters=(Parameter("margin", audit.margin, "in the unit of the value"),),
        sections=names[:1],
        settings=names,
    )
    held = _held([_point(figure, point) | dict(each.setting) for each in audit.compared for point in each.points])
    notes = (FIXED_IMAGES, *figure.notes, *_left_out(audit))
    varying = set(_varying(audit))
    constants = {name: each for name, each in audit.compared[0].setting.items() if name not in varying}
    return Table(question, held, constants, {"margin": audit.margin}, audit.remarks, notes)


def _point(figure: Figure, point: Point) -> Row:
    name = figure.quantity
    row: Row = {
        "curve": point.curve,
        "cut": point.cut,
        figure.axis: point.x,
        "pairs": point.pairs,
        name: point.here.mean,
        f"{name}_low": point.here.low,
        f"{name}_high": point.here.high,
        f"paper_{name}": point.paper.value,
        f"excess_{name}": point.difference,
        "ratio": point.ratio,
    }
    return row | ({"sign": point.sign} if figure.signed else {}) | {"size": point.size}


def _left_out(audit: Audit) -> Iterator[str]:
    """What of the paper has nothing beside it, and what here has nothing of the paper's."""
    nowhere = set.intersection(*(set(each.absent) for each in audit.compared))
    curves = [name for name in audit.compared[0].absent if name in nowhere]
    roles = {name: audit.figure.curves.get(name) for name in curves}
    if curves:
        yield "Not here: " + ", ".join(
            f"{name} (it takes {role.lacks})" if role and role.lacks else name for name, role in roles.items()
        )
    others = {line.curve: line.others for each in audit.compared for line in each.short if line.others}
    if others:
        yield "Left out, farther from the paper's or differing in more: " + ", ".join(
            f"{count} pair(s) of settings for {name}" for name, count in others.items()
        )
    if beyond := sum(each.beyond for each in audit.compared):
        yield f"{beyond} place(s) here lie beyond the ends of the paper's curves and are left out."


def _short(audit: Audit) -> Table:
    figure = audit.figure
    rows = [
        _line(figure, line) | _heading(audit, each)
        for each in audit.compared
        for line in each.short
        if line.curve != ALL or len(each.short) > 2
    ]
    parts = {
        "same sign: by the means, where the paper has one; same, opposite: by the intervals": figure.signed,
        "agrees, disagrees: in size; excess: the mean of here minus paper; ratio: the median of here over paper": True,
        "order: pairs of curves at one place in the paper's order": len(figure.curves) > 1,
        f"level: {figure.level_means}": bool(figure.level_means),
        "runs: A's x B's": True,
    }
    reading = "; ".join(part for part, told in parts.items() if told)
    return _plain(audit, "in short", "How much of it is found again?", reading, rows)


def _line(figure: Figure, line: CurveSummary) -> Row:
    row: Row = {"curve": line.curve}
    if figure.level_means:
        row |= {"level": line.level, "paper_level": line.paper_level}
    row |= {"runs": f"{line.a_runs} x {line.b_runs}"}
    if figure.signed:
        row |= {"same_sign": f"{line.same_sign} of {line.with_sign}", "same": line.same, "opposite": line.opposite}
    row |= {
        "agrees": f"{line.agrees} of {line.points}",
        "disagrees": line.disagrees,
        f"excess_{figure.quantity}": line.difference,
        "ratio": line.ratio,
    }
    if len(figure.curves) > 1:
        row |= {"order": f"{line.same_order} of {line.ordered}" if line.ordered else None, "tau": line.tau}
    return row


def _deviations(audit: Audit) -> Table:
    rows = [
        {"what": deviation.what, "paper": _word(deviation.paper), "here": _word(deviation.here)} | _heading(audit, each)
        for each in audit.compared
        for deviation in each.deviations
    ]
    folders = any(each.setting.get("dataset") in _FOLDERS for each in audit.compared)
    question = "How do these runs differ from the paper's?"
    return _plain(audit, "protocol", question, "what isn't listed is the same", rows, (_PIXELS,) if folders else ())


def _plain(
    audit: Audit, part: str, question: str, reading: str, rows: Sequence[Row], notes: tuple[str, ...] = ()
) -> Table:
    """A further table of a figure, with the settings in its headings alone: the first one's caption has the others."""
    heads = tuple(_varying(audit))
    asked = Question(f"figure {audit.figure.name}, {part}", question, "", reading, "", sections=heads, settings=heads)
    return Table(asked, _held(rows), {}, {}, (), notes)


def _varying(audit: Audit) -> Iterator[str]:
    """The settings in which the compared differ."""
    for name in settings(audit.figure):
        if any(each.setting[name] != audit.compared[0].setting[name] for each in audit.compared):
            yield name


def _heading(audit: Audit, compared: Compared) -> Row:
    return {name: compared.setting[name] for name in _varying(audit)}


def _held(rows: Sequence[Row]) -> pa.Table:
    return pa.Table.from_pylist(list(rows))


def _word(setting: object) -> str:
    return f"{setting:g}" if isinstance(setting, float) else str(setting)


def _empty(audits: Sequence[Audit]) -> Iterator[Audit]:
    return (audit for audit in audits if not audit.compared)


def _as_json(audit: Audit) -> Row:
    figure = audit.figure
    told = ("name", "figure", "question", "quantity", "axis", "level_means", "notes", "fills", "lacks")
    return {
        **{name: getattr(figure, name) for name in told},
        "rule": rule(figure),
        "margin": audit.margin,
        "remarks": audit.remarks,
        "missing": None if audit.compared else missing(audit),
        "compared": [asdict(each) for each in audit.compared],
    }
