"""The commands that start, follow and stop a driver on a cluster from another machine."""

from typing import Annotated

import typer

from .options import (
    JOB_SERVER,
    AddressOption,
    JobArgument,
    Overrides,
    RetryFailedOption,
    StoreOption,
    TrustOption,
    WaitOption,
)

DriverArgument = Annotated[str, typer.Argument(metavar="DRIVER", help="Name of the driver, which `submit` prints.")]


def submit(
    job: JobArgument,
    overrides: Overrides = None,
    store: StoreOption = None,
    address: AddressOption = JOB_SERVER,
    environment: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            metavar="NAME[=VALUE]",
            help="Environment variable of the driver and its workers; without a value, as here. May be repeated.",
        ),
    ] = None,
    data_on_cluster: Annotated[
        bool,
        typer.Option(
            "--data-on-cluster", help="Check the job without its data set and weights, which only the cluster has."
        ),
    ] = False,
    wait: WaitOption = False,
    trust: TrustOption = False,
    retry_failed: RetryFailedOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")] = False,
    no_follow: Annotated[
        bool, typer.Option("--no-follow", help="Print the driver's name and end, without following its log.")
    ] = False,
) -> None:
    """Run a job on a cluster from a machine that is not a part of it, such as a laptop.

    Checks the job here, sends it with its code and this version of Sweeper, and starts the driver on the cluster's
    head. Then follows the driver's log and ends with its exit code. Ctrl-C ends only the following: the driver goes on.
    The cluster must require Ray's token.
    """
    from sweeper.cli import submit

    options = submit.SubmitOptions(
        address, store, environment or [], wait, trust, retry_failed, data_on_cluster, dry_run, follow=not no_follow
    )
    raise typer.Exit(submit.submit_job(job, overrides or [], options))


def follow(driver: DriverArgument, address: AddressOption = JOB_SERVER) -> None:
    """Follow the log of a driver that `submit` has started, and end with its exit code."""
    from sweeper.cli import submit

    raise typer.Exit(submit.follow_driver(driver, address))


def stop(driver: DriverArgument, address: AddressOption = JOB_SERVER) -> None:
    """Stop a driver that `submit` has started; finished tasks are kept."""
    from sweeper.cli import submit

    raise typer.Exit(submit.stop_driver(driver, address))
