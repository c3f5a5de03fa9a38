"""The commands of `sweeper` in the order of its help, and how their errors are shown.

Each command imports its modules when it is called, so that `--help` loads Typer alone.
"""

from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from sweeper.errors import SweeperError, is_shown_in_full

from . import usage
from .commands import descriptions, drivers, results, runs, starts, stores


class _Commands(TyperGroup):
    """The group of all commands, which prints a `SweeperError` or a wrong command line as a message of one sentence."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options before the name of the command; without a command, the help follows."""
        asks_for_help = not args  # the parser takes the arguments out of the list
        try:
            return super().parse_args(ctx, args)
        except usage.UNREADABLE as error:
            if asks_for_help or ctx.resilient_parsing:
                raise
            self._end(usage.usage_error(error))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except usage.UNREADABLE as error:
            self._end(usage.usage_error(error))
        except SweeperError as error:
            if is_shown_in_full(error):
                raise
            self._end(error)

    def _end(self, error: SweeperError) -> NoReturn:
        from . import show

        show.print_error(error)
        raise typer.Exit(error.exit_code) from None


app = typer.Typer(
    name="sweeper",
    cls=_Commands,
    help="Compare the representations of trained networks by model stitching.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(requested: bool) -> None:
    if requested:
        from sweeper.distribution import version

        typer.echo(version())
        raise typer.Exit


@app.callback()
def sweeper(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Write data to stdout, messages to stderr.

    Exit codes: 0 complete, 1 error, 2 usage (a wrong job, query, path or set-up too), 3 finished with failed tasks,
    4 store busy, 130 interrupted.
    """


app.command()(runs.demo)
app.command()(starts.init)
app.command()(runs.plan)
app.command()(runs.run)
app.command()(runs.resume)
app.command()(drivers.submit)
app.command()(drivers.follow)
app.command()(drivers.stop)
app.command()(results.status)
app.command(cls=results.SqlCommand)(results.sql)
app.command()(results.tables)
app.command()(results.report)
app.command()(results.export)
app.command()(descriptions.data)
app.command()(descriptions.cuts)
app.command()(results.explain)
app.command()(runs.rerun)
app.command()(results.settle)
app.command()(results.methods)
app.command()(results.audit)
app.command()(results.diff)
app.command()(stores.verify)
app.command()(stores.merge)
app.command()(stores.compact)
app.command()(descriptions.schema)
app.command()(runs.doctor)
