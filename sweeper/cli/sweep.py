"""The commands `run`, `resume` and `demo`."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.errors import UsageError
from sweeper.files import check_cache_folder
from sweeper.plan.duration import duration

from . import cards, edited, notify, places, show
from .causes import cause_lines, command_lines
from .row_table import cut

if TYPE_CHECKING:
    from sweeper.engine.interrupt import Interrupt
    from sweeper.engine.summary import Summary
    from sweeper.spec.job.sweep import Engine, ResolvedSweep
    from sweeper.spec.records.rows import RunRow
    from sweeper.store.store import Store

EXIT_CODES = {"complete": 0, "failed": 3, "interrupted": 130}


def run_job(
    job: str,
    overrides: Sequence[str],
    store: str | None,
    wait: bool,
    trust: bool = False,
    retry_failed: bool = False,
    notify_url: str | None = None,
    *,
    take_over: bool = False,
    interrupt: "Interrupt | None" = None,
) -> int:
    """Run a job's missing tasks and return the exit code; tasks that have failed for good only if `retry_failed`.

    A line about the end is posted to `notify_url`. With `take_over`, a driver on another machine is replaced at once.

    Raises:
        SetupError: The cache folder can't be written.
        JobError: The job has mistakes.
    """
    check_cache_folder()  # before anything is read, built or imported, which takes seconds
    sweep, job_text = places.load_job(job, overrides, trust, cards.fetch)
    opened_store = _open(sweep, store)
    with notify.at_end(notify_url, sweep.name) as set_text:
        summary = _perform(sweep, opened_store, job_text, wait, retry_failed, interrupt, take_over)
        set_text(_summary_text(summary))
    return _end(opened_store, sweep, summary)


def resume_job(
    overrides: Sequence[str],
    store: str | None,
    job: str | None,
    wait: bool,
    trust: bool = False,
    retry_failed: bool = False,
    notify_url: str | None = None,
    *,
    take_over: bool = False,
    interrupt: "Interrupt | None" = None,
) -> int:
    """Run the missing tasks of a job that is stored in its store as `run_job` does, and return the exit code.

    Raises:
        UsageError: The job imports code that is not part of Sweeper and `trust` is False. The store may come from
            somebody else, so its code is not trusted by default.
        JobError: This version of Sweeper finds mistakes in the job.
    """
    for override in overrides:
        if Path(override.partition("=")[0]).suffix in (".yaml", ".yml"):
            raise UsageError(
                f"{override}: resume reads the job from its store; `sweeper run {shlex.quote(override)}` runs the file"
            )
    check_cache_folder()
    with places.opened(store) as opened_store:
        start_row = places.stored_job(opened_store, job)
    if differences := edited.differences(start_row.job_given, opened_store.url):
        show.warn(differences)
    sweep = stored_sweep(start_row, overrides, trust)
    with notify.at_end(notify_url, sweep.name) as set_text:
        summary = _perform(sweep, opened_store, start_row.job_given, wait, retry_failed, interrupt, take_over)
        set_text(_summary_text(summary))
    return _end(opened_store, sweep, summary)


def stored_sweep(start_row: "RunRow", overrides: Sequence[str], trust: bool) -> "ResolvedSweep":
    """Return the job in the start row of a run, with other settings of the engine.

    Raises:
        UsageError: The job imports code that is not part of Sweeper and `trust` is False; or an override is wrong.
        JobError: This version of Sweeper finds mistakes in the job.
    """
    from sweeper.spec.job.check import resolve_and_check
    from sweeper.spec.job.resolve import from_json

    stored_sweep = from_json(start_row.job_resolved)
    if stored_sweep.code and not trust:  # before the job is resolved, which may import the code
        names = ", ".join(code.name for code in stored_sweep.code)
        raise UsageError(f"{stored_sweep.name} runs code that is not part of Sweeper ({names}); --trust allows it")
    engine = _engine(stored_sweep.engine, overrides)
    # Checked again, because an earlier version of Sweeper may have stored it.
    with show.prints_on_stderr():
        return resolve_and_check(stored_sweep.model_copy(update={"engine": engine}))


def run_demo(overrides: Sequence[str], store: str | None, *, interrupt: "Interrupt | None" = None) -> int:
    """Run the demo, print its answers, write its page, name commands to try, and return the exit code."""
    from . import query

    check_cache_folder()
    sweep, job_text = places.load_job("demo", overrides)
    opened_store = _open(sweep, store)
    summary = _perform(sweep, opened_store, job_text, False, False, interrupt)
    if summary.outcome != "interrupted":
        answers = query.TableSelection(job=sweep.name).of(opened_store)
        show.write(query.format_tables(answers.tables, "table"))
        show.say(f"page with charts: {answers.page()}")
    exit_code = _end(opened_store, sweep, summary)
    store_option = f"--store {shlex.quote(opened_store.url)}"
    show.say(
        "to try next:",
        f"  sweeper tables more_data --full {store_option}",
        f"  sweeper sql 'SELECT cut_b, avg(net_gain) FROM stitches GROUP BY ALL' {store_option}",
        f"  sweeper plan demo models.weak.seed=0..9 {store_option}",
    )
    return exit_code


def _open(sweep: "ResolvedSweep", store: str | None) -> "Store":
    return places.open_store(places.store_of(sweep, store), create=True)


def _perform(
    sweep: "ResolvedSweep",
    store: "Store",
    job_text: str,
    wait: bool,
    retry_failed: bool,
    interrupt: "Interrupt | None",
    take_over: bool = False,
) -> "Summary":
    show.say(f"{sweep.name}: results go to {store.url}")
    from sweeper.engine.run import run_resolved  # deferred: importing Ray takes seconds

    return run_resolved(
        sweep,
        store,
        job_text=job_text,
        wait=wait,
        take_over=take_over,
        retry_failed=retry_failed,
        interrupt=interrupt,
    )


def _end(store: "Store", sweep: "ResolvedSweep", summary: "Summary") -> int:
    """Print how the run ended and the commands to continue with, and return the exit code."""
    places.warn_of_damage(store)
    show.say(_summary_text(summary))
    if summary.message:
        show.say(summary.message)
    store_option = f"--store {shlex.quote(store.url)}"
    options = f"{store_option} --job {sweep.name}" if len(places.stored_jobs(store)) > 1 else store_option
    trust = " --trust" if sweep.code else ""
    _say_failures(summary, store_option, options, trust)
    if _left_for_next_run(summary) > 0:
        show.say(f"continue:  sweeper resume {options}{trust}")
    show.say(f"results:   sweeper tables {options}")
    return EXIT_CODES[summary.outcome]


def _say_failures(summary: "Summary", store_option: str, options: str, trust: str) -> None:
    """Print why tasks have failed for good, and the commands that try them again: ten lines at most."""
    if not summary.failures:
        return
    show.say(
        *(cut(line, show.width()) for line in cause_lines(summary.failures)),
        *command_lines(summary.failures, store_option),
        f"rerun one: sweeper rerun {summary.failures[0].task} {store_option}{trust}",
        f"rerun all: sweeper resume {options}{trust} --retry-failed (otherwise failed tasks stay failed)",
    )


def _left_for_next_run(summary: "Summary") -> int:
    """Return the number of tasks that the next run tries: all that are not done, blocked or failed for good."""
    failed_for_good = sum(failure.tasks for failure in summary.failures)
    return summary.tasks - summary.done - summary.done_before - summary.blocked - failed_for_good


def _summary_text(summary: "Summary") -> str:
    outcome_texts = {"complete": "complete", "failed": "finished with failed tasks", "interrupted": "interrupted"}
    parts = [f"{summary.done} tasks done in {duration(summary.seconds)}"]
    parts += [f"{summary.done_before} were done before"] if summary.done_before else []
    parts += [f"{summary.failed} failed"] if summary.failed else []
    parts += [f"{summary.failed_before} had failed before and were not tried"] if summary.failed_before else []
    parts += [f"{summary.blocked} blocked by failed models"] if summary.blocked else []
    known = (summary.done, summary.done_before, summary.failed, summary.failed_before, summary.blocked)
    missing = summary.tasks - sum(known)
    parts += [f"{missing} missing"] if missing > 0 else []
    return f"{outcome_texts[summary.outcome]}: {', '.join(parts)}; the job has {summary.tasks} tasks"


def _engine(engine: "Engine", overrides: Sequence[str]) -> "Engine":
    """Return the engine settings with overrides. No id depends on them, so they may change when a job is resumed.

    Raises:
        UsageError: An override names no engine setting, or its value is invalid.
    """
    from pydantic import ValidationError

    from sweeper.spec.job import override_value
    from sweeper.spec.job.source import parse_value

    settings = engine.model_dump()
    for override in overrides:
        key, separator, text = override.partition("=")
        name = key.removeprefix("engine.")
        if not separator or name == key or name not in settings:
            engine_keys = ", ".join(f"engine.{setting}" for setting in settings)
            raise UsageError(f"{override}: resume can change only engine settings, given as KEY=VALUE: {engine_keys}")
        settings[name] = parse_value(override_value.as_yaml(text), override).plain()
    try:
        return type(engine).model_validate(settings)
    except ValidationError as error:
        problems: dict[str, list[str]] = {}
        for problem in error.errors():
            problems.setdefault(str(problem["loc"][0]), []).append(problem["msg"].removeprefix("Input "))
        lines = [f"engine.{name}={settings[name]}: it {', or '.join(messages)}" for name, messages in problems.items()]
        raise UsageError("\n".join(lines)) from None
