"""The command `plan`, which shows the tasks and the cost of a job. Imports neither torch nor Ray."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sweeper.files import check_cache_folder

from . import cards, edits, places, show
from .expected_widths import expected_half_widths

if TYPE_CHECKING:
    from sweeper.plan.plan import Plan
    from sweeper.spec.job.sweep import ResolvedSweep


def print_plan(job: str, overrides: Sequence[str], store: str | None, json: bool, trust: bool = False) -> None:
    """Print the tasks of a job and their cost.

    Networks are probed in processes of their own, for a few seconds at most. If the cuts or weights of an external
    network are not known then, print the commands that find them instead.

    Raises:
        JobError: The job has mistakes, or its data set is not here and can't be downloaded.
        SetupError: The cache folder can't be written.
    """
    from sweeper.plan import explain
    from sweeper.plan.plan import Plan
    from sweeper.spec.content import describe

    sweep, _ = places.load_job(job, overrides, trust, cards.probe_networks)
    images = places.read_folder(sweep.dataset)
    data_summary = {"data": describe.describe_as_json(images)} if images else {}
    data_lines = [describe.describe_as_text(images)] if images else []
    store_url = places.store_of(sweep, store)
    done, failed = _ended(store_url)
    if unknown := cards.missing_commands(sweep):
        if json:
            show.print_json({"name": sweep.name, **data_summary, "unknown_cuts": unknown, "store": store_url})
        else:
            commands = (
                f"the {cards.kind_fetched_by(command)} of {name} are not known yet; `{command}` finds them, "
                "and `sweeper run` runs this command automatically"
                for name, command in unknown.items()
            )
            show.write("\n".join([*data_lines, *commands]))
        _check_machine(sweep)
        return
    job_plan = _corrected(Plan.of(sweep, done, failed), store_url)
    changed = edits.since_stored(job_plan, store_url)
    half_widths = expected_half_widths(job_plan, store_url)
    if json:
        changes = {"changes": changed.as_json()} if changed else {}
        show.print_json(explain.summary(job_plan, half_widths) | data_summary | {"store": store_url} | changes)
    else:
        change_lines = changed.lines() if changed else []
        show.write(
            "\n".join([explain.summary_text(job_plan, half_widths), *data_lines, f"store: {store_url}", *change_lines])
        )
    if job_plan.missing:  # last, so that a job for another machine shows its cost here
        _check_machine(sweep)


def _check_machine(sweep: "ResolvedSweep") -> None:
    """Check what a run on this machine needs beside the job: its named data set, and the cache folder.

    Raises:
        JobError: The data set is not here and can't be downloaded.
        SetupError: The cache folder can't be written.
    """
    from sweeper.spec.job.resolve import check_data

    check_data(sweep)
    if sweep.engine.address in (None, "local"):
        check_cache_folder()


def _corrected(job_plan: "Plan", store: str) -> "Plan":
    """Return a plan whose estimates are corrected by the times of the tasks that are done in a store."""
    from sweeper.plan.measured import correct, earlier_plans

    if not places.exists(store) or not job_plan.missing:
        return job_plan
    with places.opened(store) as opened_store:
        jobs = (row.job_resolved for row in reversed(opened_store.runs()) if row.event == "start")
        return correct(job_plan, opened_store.times, earlier_plans(jobs, opened_store.done()))


def _ended(store: str) -> tuple[set[str], set[str]]:
    """Return the ids of the tasks that are done in a store, and of those that have failed; none without a store."""
    if not places.exists(store):
        places.check_new_store(store)
        return set(), set()
    with places.opened(store) as opened_store:
        return opened_store.done(), opened_store.failed()
