"""`sql`, `tables`, `report`, `explain`: what a store says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.errors import UsageError

from . import places, show

if TYPE_CHECKING:
    from sweeper.report.question import Value
    from sweeper.report.tables import Table
    from sweeper.store.store import Store


def sql(query: str | None, store: str | None, format: str, output: Path | None) -> None:
    """Answers a query; without one, lists what can be asked."""
    if query is None:
        _legend(format, output)
        return
    with places.opened(store) as found:
        from . import rows

        rows.write(found.sql(query), format, output)


def _legend(format: str, output: Path | None) -> None:
    import pyarrow as pa

    from sweeper.store.query.views import SAMPLES, legend

    from . import rows

    columns = legend()
    if format != "table":
        names = ("view", "column", "type", "unit", "meaning")
        rows.write(pa.table(dict(zip(names, map(list, zip(*columns, strict=True)), strict=True))), format, output)
        return
    for view in dict.fromkeys(column[0] for column in columns):
        show.data(f"\n{view}\n")
        show.grid(("column", "type", "unit", "meaning"), (column[1:] for column in columns if column[0] == view))
    show.data("\nSamples\n")
    for question, query in SAMPLES:
        quoted = query.replace('"', '\\"')
        show.data(f'-- {question}\nsweeper sql "{quoted}"\n')


@dataclass(frozen=True, slots=True)
class Asked:
    """What a user asks of a store: which tables (none named: all), of which job (none: all), with which settings."""

    names: Sequence[str] = ()
    job: str | None = None
    analysis: Sequence[Path] = ()
    parameters: Sequence[str] = ()  # KEY=VALUE

    def of(self, store: "Store") -> "Answers":
        """The answers. Raises UsageError and QueryError as `report.tables.tables` does."""
        from sweeper.report.tables import tables

        only = places.job_tasks(store, self.job)
        given = dict(map(parameter, self.parameters))
        found = tables(store, self.names, self.analysis, only, given, _stated(store, self.job, given))
        return Answers(store, found, self.job, only)


def _stated(store: "Store", job: str | None, given: Mapping[str, "Value"]) -> "dict[str, Value]":
    """The margin that the job states, or that all jobs of the store agree in which state one."""
    from json import loads

    kept = {name: loads(row.job_resolved) for name, row in places.kept_jobs(store).items() if job in (None, name)}
    stated = {name: resolved["margin"] for name, resolved in kept.items() if resolved.get("margin") is not None}
    margins = set(stated.values())
    if len(margins) > 1 and "margin" not in given:
        each = ", ".join(f"{name}: {margin:g}" for name, margin in stated.items())
        show.warn(f"jobs of {store.url} state different margins, and none is taken ({each}): name a job with --job")
    return {"margin": margins.pop()} if len(margins) == 1 else {}


@dataclass(frozen=True, slots=True)
class Answers:
    """What a store said, of one job (whose tasks are `only`) or of all."""

    store: "Store"
    tables: Sequence["Table"]
    job: str | None
    only: Sequence[str] | None

    def page(self, output: Path | None = None) -> Path:
        """Writes them as a page to `output`, or into the store's folder (a bucket's: the working folder)."""
        from sweeper.report import page

        url = self.store.url
        path = output or (Path(url) if "://" not in url else Path.cwd()) / "report.html"
        return page.write(self.store, self.tables, path, self.job, self.only)


def parameter(text: str) -> "tuple[str, Value]":
    """The name and value of `--set KEY=VALUE`."""
    from sweeper.report.question import value

    name, separator, given = text.partition("=")
    if not separator or not given:
        raise UsageError(f"--set {text}: give KEY=VALUE, such as --set margin=2")
    return name, value(given)


def tables(asked: Asked, store: str | None, format: str, output: Path | None) -> None:
    """Prints the tables."""
    with places.opened(store) as found:
        answers = asked.of(found)
    show.data(text(answers.tables, format), output)


def text(answers: Sequence["Table"], format: str) -> str:
    from sweeper.report import format as formats
    from sweeper.report.terminal import terminal

    if format == "table":
        return terminal(answers, show.width(), show.color())
    if format == "json":
        return formats.json(answers)
    if format == "csv" and len(answers) != 1:
        raise UsageError("CSV holds one table: name it, as in `sweeper tables more_data --format csv`")
    return "\n".join(map({"markdown": formats.markdown, "latex": formats.latex, "csv": formats.csv}[format], answers))


def report(asked: Asked, store: str | None, output: Path | None) -> None:
    """Writes the page and names it."""
    with places.opened(store) as found:
        show.data(str(asked.of(found).page(output)))


_KINDS = ("models", "stitches", "similarities", "failures")
_ATTEMPT = ("run", "attempt", "outcome", "error", "seconds", "at")


def explain(task: str, store: str | None, json: bool) -> None:
    """Everything that the store knows of one task, and what its job says of it."""
    if not task or set(task) - set("0123456789abcdef"):
        raise UsageError(f"{task!r} is no task's id: those are 32 hexadecimal digits, of which the first few will do")
    with places.opened(store) as found:
        known = {"task": _planned(found, task)}
        id = known["task"]["task"]
        known |= {
            kind: rows[0] for kind in _KINDS if (rows := found.sql(f"FROM {kind} WHERE task = '{id}'").to_pylist())
        }
        attempts = found.sql(f"FROM attempts WHERE task = '{id}' ORDER BY \"at\"").to_pylist()
    if json:
        show.json(known | {"attempts": attempts})
        return
    for kind, row in known.items():
        show.data(f"\n{kind}")
        show.facts({f"  {name}": value for name, value in row.items()})
    if attempts:
        show.data("\nattempts")
        show.grid(_ATTEMPT, ([attempt[column] for column in _ATTEMPT] for attempt in attempts), ("attempt", "seconds"))


def _planned(store: "Store", beginning: str) -> dict[str, Any]:
    """The one task of the store's jobs whose id begins so. Raises UsageError where there are none or several."""
    from sweeper.plan import explain
    from sweeper.plan.plan import Plan
    from sweeper.spec.job.resolve import from_json

    done = store.done()
    plans = [Plan.of(from_json(kept.job_resolved), done) for kept in places.kept_jobs(store).values()]
    found = {id: plan for plan in plans for id in plan.ids() if id.startswith(beginning)}
    if len(found) == 1:
        return next(explain.task(plan, id) for id, plan in found.items())
    if not found:
        raise UsageError(f"no task of the jobs in {store.url} has an id that begins with {beginning}")
    raise UsageError(f"{len(found)} ids begin with {beginning}: {', '.join(sorted(found)[:4])}, ...")
