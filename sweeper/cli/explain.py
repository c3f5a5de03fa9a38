"""The command `explain`: one task of a store, in lines of at most 80 characters."""

import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from . import cards, edits, places, show, tasks

if TYPE_CHECKING:
    from sweeper.store.store import Store

WIDTH = 80  # of the output where stdout is no terminal
LONGEST_TEXT = 4000  # characters of a traceback or log that are shown; --json has all of it
KINDS = ("models", "stitches", "similarities", "failures")


def print_task(task: str, store: str | None, json: bool) -> None:
    """Print a task: its specification, result, attempts and failures."""
    with places.opened(store) as opened_store:
        stored_task = tasks.find_task(opened_store, task)
        facts = _facts(opened_store, stored_task)
        query = f"FROM attempts WHERE task = '{stored_task.id}' ORDER BY finished_at"
        attempts = opened_store.sql(query).to_pylist()
    if json:
        show.print_json(facts | {"attempts": attempts})
        return
    lines: list[str] = []
    for kind, row in facts.items():
        lines += ["", kind, *_field_lines(row)]
    for number, attempt in enumerate(attempts, 1):
        lines += ["", f"attempt {number} of {len(attempts)}", *_field_lines(_short(attempt))]
    show.write("\n".join(lines).lstrip("\n"))


def print_changes(job: str, store: str | None, trust: bool, json: bool) -> None:
    """Print how the tasks of a job differ from those of its last run in a store, each group with an example."""
    from sweeper.plan.plan import Plan

    sweep, _ = places.load_job(job, [], trust, cards.probe_networks)
    store_url = places.store_of(sweep, store)
    with places.opened(store_url) as opened_store:
        plan = Plan.of(sweep, opened_store.done(), opened_store.failed())
    changed = edits.since_stored(plan, store_url)
    if json:
        show.print_json(changed.as_json() if changed else {})
    elif changed is None:
        show.write(f"{sweep.name} names the same tasks as when it last ran in {store_url}, or it never did")
    else:
        lines = [*changed.lines(), "", *changed.example_lines()]
        show.write("\n".join(part for line in lines for part in _wrapped(line, _width())))


def _facts(store: "Store", task: tasks.StoredTask) -> dict[str, dict[str, Any]]:
    """Return what a store knows about a task, by section."""
    from sweeper.plan import explain

    facts: dict[str, dict[str, Any]] = {
        "task": {"task": task.id, "jobs": "none now: no job of the store names this task"}
    }
    if task.plan is not None and task.start_row is not None:
        facts["task"] = explain.task(task.plan, task.id) | {"job": task.start_row.job}
    for kind in KINDS:
        if rows := store.sql(f"FROM {kind} WHERE task = '{task.id}'").to_pylist():
            facts[kind] = rows[0]
    return facts


def _short(attempt: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an attempt without those that all attempts of a task share, and without empty ones."""
    shared = ("task", "kind", "at")
    return {name: value for name, value in attempt.items() if name not in shared and value is not None}


def _field_lines(fields: Mapping[str, Any]) -> Iterable[str]:
    """Return a name and its value per line, or several lines for a long value, indented by two."""
    name_width = max(map(len, fields), default=0)
    indent = " " * (name_width + 4)
    for name, value in fields.items():
        first, *others = _value_lines(value, _width() - len(indent))
        yield f"  {name:<{name_width}}  {first}".rstrip()
        yield from (f"{indent}{line}".rstrip() for line in others)


def _value_lines(value: Any, width: int) -> list[str]:
    """Return a value in lines of at most `width` characters."""
    if isinstance(value, Mapping):
        pairs = [f"{name}: {_inline(item)}" for name, item in value.items()]
        return [line for pair in pairs for line in _wrapped(pair, width)] or [""]
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return [line for item in value for line in _wrapped(_inline(item), width)]
    text = show.format_cell(value) if not isinstance(value, list) else _inline(value)
    if len(text) > LONGEST_TEXT:
        text = f"(...)\n{text[-LONGEST_TEXT:]}"
    return [line for part in text.splitlines() for line in _wrapped(part, width)] or [""]


def _wrapped(text: str, width: int) -> list[str]:
    """Return a line of text in lines of at most `width` characters; code keeps its indentation."""
    indent = " " * (len(text) - len(text.lstrip()))
    return textwrap.wrap(text, width, subsequent_indent=indent[: width // 2], drop_whitespace=True) or [""]


def _inline(value: Any) -> str:
    """Return a value as text in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_inline(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_inline, value)) or "none"
    return "none" if value is None else show.format_cell(value)


def _width() -> int:
    """Return the characters of a line: those of the terminal, but at least 40."""
    return max(40, shutil.get_terminal_size((WIDTH, 24)).columns) if sys.stdout.isatty() else WIDTH
