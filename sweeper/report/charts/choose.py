"""The charts of a table, chosen by its columns."""

from sweeper.report.tables import Table

from .by_depth import charts_by_depth
from .chart import Chart
from .errors import charts_of_errors


def charts(table: Table) -> list[Chart]:
    """Return the charts that suit the columns of a table; none if there is nothing to draw."""
    return [*charts_by_depth(table), *charts_of_errors(table)]
