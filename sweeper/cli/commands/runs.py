"""The commands that plan and run the tasks of a job, and the check that a run can start."""

from functools import partial
from typing import Annotated

import typer

from .options import (
    EngineOverrides,
    JobArgument,
    JobNameOption,
    JsonOption,
    NotifyOption,
    Overrides,
    RetryFailedOption,
    StoreOption,
    TakeOverOption,
    TrustOption,
    WaitOption,
)


def demo(overrides: Overrides = None, store: StoreOption = None) -> None:
    """Run a small sweep on the embedded cluttered digits, then show its tables and write its report. Takes minutes."""
    from sweeper.cli import interruptible, sweep

    raise typer.Exit(interruptible.call(partial(sweep.run_demo, overrides or [], store)))


def plan(
    job: JobArgument,
    overrides: Overrides = None,
    store: StoreOption = None,
    trust: TrustOption = False,
    json: JsonOption = False,
) -> None:
    """Show the tasks of a job, how many are already done, and the estimated cost of the others. Starts nothing."""
    from sweeper.cli import plan

    plan.print_plan(job, overrides or [], store, json, trust)


def run(
    job: JobArgument,
    overrides: Overrides = None,
    store: StoreOption = None,
    wait: WaitOption = False,
    take_over: TakeOverOption = False,
    trust: TrustOption = False,
    retry_failed: RetryFailedOption = False,
    notify: NotifyOption = None,
    allow_failures: Annotated[
        bool,
        typer.Option(
            "--allow-failures",
            help="End with exit code 0 instead of 3 if tasks have failed, for launchers that repeat.",
        ),
    ] = False,
) -> None:
    """Run the tasks of a job whose results are not in the store yet."""
    from sweeper.cli import interruptible, sweep

    call = partial(sweep.run_job, job, overrides or [], store, wait, trust, retry_failed, notify, take_over=take_over)
    code = interruptible.call(call)
    raise typer.Exit(0 if allow_failures and code == sweep.EXIT_CODES["failed"] else code)


def resume(
    overrides: EngineOverrides = None,
    store: StoreOption = None,
    job: JobNameOption = None,
    wait: WaitOption = False,
    take_over: TakeOverOption = False,
    trust: TrustOption = False,
    retry_failed: RetryFailedOption = False,
    notify: NotifyOption = None,
) -> None:
    """Continue a job from its store, without its job file."""
    from sweeper.cli import interruptible, sweep

    call = partial(
        sweep.resume_job, overrides or [], store, job, wait, trust, retry_failed, notify, take_over=take_over
    )
    raise typer.Exit(interruptible.call(call))


def rerun(
    task: Annotated[str, typer.Argument(help="The id of a task, or the first digits of it.")],
    overrides: EngineOverrides = None,
    here: Annotated[
        bool,
        typer.Option(
            "--here",
            help="Perform it in this process, without Ray. What it raises is shown with the full traceback, and "
            "`python -m pdb -m sweeper rerun TASK --here` stops where it is raised.",
        ),
    ] = False,
    no_commit: Annotated[
        bool,
        typer.Option(
            "--no-commit",
            help="With --here: store neither the result nor a failure. A task that is done can be performed only so.",
        ),
    ] = False,
    store: StoreOption = None,
    job: JobNameOption = None,
    wait: WaitOption = False,
    trust: TrustOption = False,
) -> None:
    """Perform one task again, also one that has failed for good; its models must be done.

    The job is read from the store. Without --here this is a small run of its own. The result is stored as that of
    any run, while no other run uses the store.
    """
    from sweeper.cli import interruptible, rerun

    request = rerun.Request(task, overrides or [], store, job, trust)
    if here:
        raise typer.Exit(rerun.rerun_here(request, commit=not no_commit))
    raise typer.Exit(interruptible.call(partial(rerun.rerun_in_a_run, request, wait, no_commit)))


def doctor(
    job: Annotated[
        str | None,
        typer.Argument(metavar="JOB", help="A job, whose store and cluster (engine.address) are checked, too."),
    ] = None,
    overrides: Overrides = None,
    store: StoreOption = None,
    trust: TrustOption = False,
    json: JsonOption = False,
) -> None:
    """Check that a run can start, and say how to fix what is wrong.

    Of this machine: Python, libraries, GPUs and their driver, memory, /dev/shm, disks, open files, network and ports,
    Ray's token. Of the store: whether it can be written and read back, and its clock. Of a cluster: whether it answers,
    to whom, and the versions, clock and GPUs of each node. The exit code is 1 if a check failed.
    """
    from sweeper.cli import doctor

    raise typer.Exit(doctor.print_diagnosis(job, overrides or [], store, trust, json))
