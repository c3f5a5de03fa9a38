"""The commands that check, heal, merge and compact stores."""

from typing import Annotated

import typer

from .options import JsonOption, StoreArgument, StoreOption, WaitOption


def verify(
    place: StoreArgument = None,
    store: StoreOption = None,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Move what is damaged to damaged/, and say which tasks run again and how."),
    ] = False,
    gc: Annotated[
        bool, typer.Option("--gc", help="Instead, list the weights and saved states that nothing needs.")
    ] = False,
    delete: Annotated[bool, typer.Option("--delete", help="With --gc: delete them.")] = False,
    json: JsonOption = False,
) -> None:
    """Read every file of a store and compare it with what it should be. Without options nothing is changed.

    Compared are the digests of all parts and weights, each value with the schema of its rows, and the weights of each
    model with its row. The exit code is 1 if something is damaged or lost. Models with several weights, and tasks with
    several different results, are named, too: they are not damage, and `sweeper sql` shows each task once.
    """
    from sweeper.cli import verify

    raise typer.Exit(
        verify.verify_store(verify.VerifyRequest(verify.one_store(place, store), repair, gc, delete, json))
    )


def merge(
    into: Annotated[str, typer.Argument(metavar="A", help="Folder or URL of the store that is added to.")],
    source: Annotated[str, typer.Argument(metavar="B", help="Folder or URL of the store that is added.")],
    json: JsonOption = False,
) -> None:
    """Add the results of store B to store A. B is not changed, and nothing in A is replaced.

    Parts and weights that A lacks are copied, after their digests were compared. Each task then counts once.
    """
    from sweeper.cli import merge

    raise typer.Exit(merge.print_merge(into, source, json))


def compact(
    place: StoreArgument = None,
    store: StoreOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")] = False,
    grace: Annotated[
        float,
        typer.Option(
            "--grace", metavar="SECONDS", min=0, help="Time for running queries before replaced parts are deleted."
        ),
    ] = 60.0,
    wait: WaitOption = False,
) -> None:
    """Replace the many small parts of a store by few large ones, so that queries are fast. No result changes.

    The rows of a kind are merged into parts of at most 128 MB, sorted by what queries select. The new parts are
    published, and after the time of --grace read back; then the parts that they replace are deleted. Other processes
    may read and write meanwhile. Ctrl-C, or any other end, loses nothing; the same command goes on.
    """
    from sweeper.cli import compact, reading, verify

    with reading.ended_by_signal_or_time():
        compact.compact_store(verify.one_store(place, store), dry_run, grace, wait)
