"""Output formats of audits: tables like those of `sweeper tables` (points, summary, deviations), lines, and JSON."""

import json as json_writer
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import pyarrow as pa

from sweeper.report.format import table_as_markdown as table_as_markdown
from sweeper.report.question import Parameter, Question
from sweeper.report.short import WIDTH
from sweeper.report.tables import CUT_KIND, FIXED_IMAGES, Table
from sweeper.report.terminal import tables_as_text as tables_in_terminal

from . import agree
from .audit import Audit
from .compare import ALL, CurveComparison, CurveSummary, PointComparison
from .definition import Figure
from .select import settings_held_equal

UNFIT = "their stitcher is no trained map of full rank, so that they can't stand for the paper's"
_FOLDERS = ("parquet", "imagefolder")
_PIXELS = "Images from a folder may differ from the original data set (JPEG is lossy); the store doesn't record this."

Row = dict[str, object]


def audits_as_text(audits: Sequence[Audit], width: int = 80, color: bool = False) -> str:
    """Format audits as text of at most `width` cells a line, followed by a line per figure without results."""
    text = tables_in_terminal([table for audit in audits for table in audit_tables(audit)], width, color)
    return text + "\n".join([*map(missing, _without_results(audits)), ""])


def in_short(audits: Sequence[Audit], width: int = 80, color: bool = False) -> str:
    """Format audits as one line for each figure: that of the setting with the most curves and fewest deviations."""
    table = _overview(audits)
    text = tables_in_terminal([table], min(width, WIDTH), color).rstrip("\n") if table.rows.num_rows else ""
    return "\n".join(filter(None, [text, *_ends(audits, min(width, WIDTH)), ""])) + "\n"


def _overview(audits: Sequence[Audit]) -> Table:
    question = Question(
        name="in short",
        question="How much of the paper's figures does this store reproduce?",
        one_row_per="",
        read_it_as="settings: those of the store, of which the nearest to the paper's is shown; same, opposite: points "
        "whose net penalty has the paper's sign, or the opposite one, of those with a sign; agrees, disagrees: points "
        "by the size; order: pairs of curves in the paper's order",
        sql="",
        in_all="Of {sum signs} signs of the paper, the net penalties here have {sum same} and the opposite of "
        "{sum opposite}; the others are undecided or have no control. Of {sum points} sizes, {sum agrees} agree and "
        "{sum disagrees} disagree",
    )
    rows = [_overview_row(audit) for audit in audits if audit.compared]
    return Table(question, _arrow_table(rows), {}, {}, tuple(dict.fromkeys(r for a in audits for r in a.remarks)))


def _overview_row(audit: Audit) -> Row:
    line = next(line for line in audit.compared[0].short if line.curve == ALL)
    with_net = audit.figure.has_control
    return {
        "figure": audit.figure.name,
        "settings": len(audit.compared),
        "curves": len(audit.compared[0].short) - 1,
        "runs": f"{line.a_runs} x {line.b_runs}",
        "signs": line.with_sign if with_net else None,
        "same": line.net_same if with_net else None,
        "opposite": line.net_opposite if with_net else None,
        "points": line.points,
        "agrees": line.agrees,
        "disagrees": line.disagrees,
        "order": f"{line.same_order} of {line.ordered}" if line.ordered else None,
    }


def _ends(audits: Sequence[Audit], width: int) -> Iterator[str]:
    """Yield the lines about what is left out, and the commands that show more."""
    if unfit := sum(audit.unfit for audit in audits):
        yield textwrap.fill(f"Left out, because {UNFIT}: {unfit} curve(s)", width, subsequent_indent="  ")
    if absent := list(_without_results(audits)):
        names = ", ".join(f"{audit.figure.name} ({_job_of(audit.figure)})" for audit in absent)
        text = f"No results for figures, with the job that computes them: {names}"
        yield textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False)
    if with_results := [audit for audit in audits if audit.compared]:
        yield f"All points, rules and deviations: sweeper audit --full, or sweeper audit {with_results[0].figure.name}"


def _job_of(figure: Figure) -> str:
    return figure.fills[0] if figure.fills else "none"


def audits_as_markdown(audits: Sequence[Audit]) -> str:
    """Format audits as Markdown tables, followed by a list of the figures without results in the store."""
    texts = [table_as_markdown(table) for audit in audits for table in audit_tables(audit)]
    return "\n".join([*texts, *(f"- {missing(audit)}" for audit in _without_results(audits)), ""])


def audits_as_json(audits: Sequence[Audit]) -> str:
    """Format audits as a JSON list of figures: the question, the rule, and the comparisons in full precision."""
    return json_writer.dumps([_as_json(audit) for audit in audits], indent=2, ensure_ascii=False, default=str)


def missing(audit: Audit) -> str:
    """Return the line about a figure without results in the store: which job computes them, or what it needs."""
    figure = audit.figure
    first_job, *other_jobs = figure.fills or ("",)
    alternatives = f" (or {', '.join(other_jobs)})" if other_jobs else ""
    remedy = (
        f"`sweeper run {first_job}`{alternatives} computes them" if first_job else f"they would need {figure.lacks}"
    )
    return f"figure {figure.name}: this store has no results to compare with it; {remedy}"


def audit_tables(audit: Audit) -> list[Table]:
    """Return the points, the summary and the deviations of a figure; empty if the store has no results for it."""
    return [_points(audit), _summary(audit), _deviations(audit)] if audit.compared else []


def rule(figure: Figure) -> str:
    """Return the parts of the rule of `agree` that apply to a figure."""
    return " ".join([agree.SIGN_RULE] * figure.signed + [agree.SIZE_RULE, agree.ORDER_RULE])


def _points(audit: Audit) -> Table:
    figure = audit.figure
    names = settings_held_equal(figure)
    question = Question(
        name=f"figure {figure.name}",
        question=figure.question,
        one_row_per="curve of the paper, and place on its axis",
        read_it_as=_reading(figure),
        sql="",
        rule=rule(figure),
        parameters=(Parameter("margin", audit.margin, "in the unit of the value"),),
        sections=names[:1],
        settings=names,
    )
    rows = _arrow_table(
        [
            _point(figure, point) | dict(comparison.setting)
            for comparison in audit.compared
            for point in comparison.points
        ]
    )
    notes = (FIXED_IMAGES, *figure.notes, *_left_out(audit))
    varying = set(_varying(audit))
    constants = {name: setting for name, setting in audit.compared[0].setting.items() if name not in varying}
    return Table(question, rows, constants, {"margin": audit.margin}, audit.remarks, notes)


def _reading(figure: Figure) -> str:
    net = (
        "net penalty: the mean in this store of the penalty minus that of B into itself, with its 95 % interval over "
        "training runs; it leaves out what the stitcher itself learns, which the paper's penalties contain; "
    )
    return (
        f"{net if figure.has_control else ''}{figure.quantity.replace('_', ' ')}: the mean in this store with its 95 % "
        "interval over training runs, and the paper's value, of a single run; excess: store minus paper; ratio: store "
        "divided by paper, if the paper's value is larger than the margin"
    )


def _point(figure: Figure, point: PointComparison) -> Row:
    name = figure.quantity
    row: Row = {
        "curve": point.curve,
        "cut": point.cut,
        CUT_KIND: point.cut_kind,
        figure.axis: point.x,
        "pairs": point.pairs,
    }
    if figure.has_control:
        net = asdict(point.net) if point.net else {}
        ends = {"net_penalty": "mean", "net_penalty_low": "low", "net_penalty_high": "high"}
        row |= {column: net.get(end) for column, end in ends.items()} | {"net_sign": point.net_sign}
    row |= {
        name: point.here.mean,
        f"{name}_low": point.here.low,
        f"{name}_high": point.here.high,
        f"paper_{name}": point.paper.value,
        f"excess_{name}": point.difference,
        "ratio": point.ratio,
    }
    return row | ({"sign": point.sign} if figure.signed else {}) | {"size": point.size}


def _left_out(audit: Audit) -> Iterator[str]:
    """Yield notes about curves of the paper without results here, and about results here without a curve."""
    always_absent = set.intersection(*(set(comparison.absent) for comparison in audit.compared))
    curves = [name for name in audit.compared[0].absent if name in always_absent]
    roles = {name: audit.figure.curves.get(name) for name in curves}
    if curves:
        yield "Curves of the paper without results in this store: " + ", ".join(
            f"{name} (would need {role.lacks})" if role and role.lacks else name for name, role in roles.items()
        )
    others = {line.curve: line.others for comparison in audit.compared for line in comparison.short if line.others}
    if others:
        reason = "their level is farther from the paper's or more of their settings differ"
        yield f"Left out, because {reason}: " + ", ".join(
            f"{count} pair(s) of settings for {name}" for name, count in others.items()
        )
    if audit.unfit:
        yield f"Left out, because {UNFIT}: {audit.unfit} curve(s)"
    if apart := sum(point.cut_kind is not None for comparison in audit.compared for point in comparison.points):
        yield (
            f"{apart} point(s) with a cut kind are in no summary: at a probe of A, all layers of B after the cut are "
            "affine; at the same as another cut, the networks are the same."
        )
    if beyond := sum(comparison.beyond for comparison in audit.compared):
        yield f"{beyond} place(s) here lie beyond the ends of the paper's curves and are left out."


def _summary(audit: Audit) -> Table:
    figure = audit.figure
    rows = [
        _line(figure, line) | _heading(audit, comparison)
        for comparison in audit.compared
        for line in comparison.short
        if line.curve != ALL or len(comparison.short) > 2
    ]
    sentences = {
        "net same, net opposite: points by the verdict on the net sign": figure.has_control,
        "same sign: points whose mean penalty has the paper's sign, of those with a sign in the paper; same, opposite: "
        "points by the verdict on the sign": figure.signed,
        "agrees, disagrees: points by the verdict on the size; excess: the mean of store minus paper; ratio: the "
        "median of store divided by paper": True,
        "order: pairs of curves at one place that are in the paper's order": len(figure.curves) > 1,
        f"level: {figure.level_means}": bool(figure.level_means),
        "runs: training runs of A x those of B": True,
    }
    reading = "; ".join(sentence for sentence, applies in sentences.items() if applies)
    return _summary_table(audit, "summary", "How much of the figure is reproduced?", reading, rows)


def _line(figure: Figure, line: CurveSummary) -> Row:
    row: Row = {"curve": line.curve}
    if figure.level_means:
        row |= {"level": line.level, "paper_level": line.paper_level}
    row |= {"runs": f"{line.a_runs} x {line.b_runs}"}
    if figure.has_control:
        row |= {"net_same": line.net_same, "net_opposite": line.net_opposite}
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
        {"what": deviation.what, "paper": _setting_as_text(deviation.paper), "here": _setting_as_text(deviation.here)}
        | _heading(audit, comparison)
        for comparison in audit.compared
        for deviation in comparison.deviations
    ]
    from_folders = any(comparison.setting.get("dataset") in _FOLDERS for comparison in audit.compared)
    question = "How do these runs differ from the paper's?"
    reading = "settings that are not listed are the same"
    return _summary_table(audit, "deviations", question, reading, rows, (_PIXELS,) if from_folders else ())


def _summary_table(
    audit: Audit, part: str, question: str, reading: str, rows: Sequence[Row], notes: tuple[str, ...] = ()
) -> Table:
    """Return the summary or deviations of a figure as a table.

    Only the settings that vary are shown, in the headings; the caption of the table of points has the others.
    """
    heading_columns = tuple(_varying(audit))
    header = Question(
        f"figure {audit.figure.name}, {part}",
        question,
        "",
        reading,
        "",
        sections=heading_columns,
        settings=heading_columns,
    )
    return Table(header, _arrow_table(rows), {}, {}, (), notes)


def _varying(audit: Audit) -> Iterator[str]:
    """Yield the settings that differ between the comparisons of a figure."""
    for name in settings_held_equal(audit.figure):
        if any(comparison.setting[name] != audit.compared[0].setting[name] for comparison in audit.compared):
            yield name


def _heading(audit: Audit, comparison: CurveComparison) -> Row:
    return {name: comparison.setting[name] for name in _varying(audit)}


def _arrow_table(rows: Sequence[Row]) -> pa.Table:
    return pa.Table.from_pylist(list(rows))


def _setting_as_text(setting: object) -> str:
    return f"{setting:g}" if isinstance(setting, float) else str(setting)


def _without_results(audits: Sequence[Audit]) -> Iterator[Audit]:
    return (audit for audit in audits if not audit.compared)


def _as_json(audit: Audit) -> Row:
    figure = audit.figure
    fields = ("name", "figure", "question", "quantity", "axis", "level_means", "notes", "fills", "lacks")
    return {
        **{name: getattr(figure, name) for name in fields},
        "rule": rule(figure),
        "margin": audit.margin,
        "remarks": audit.remarks,
        "unfit": audit.unfit,
        "missing": None if audit.compared else missing(audit),
        "compared": [asdict(comparison) for comparison in audit.compared],
    }
