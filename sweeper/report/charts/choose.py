"""The charts of a table, chosen by its columns."""

from sweeper.report.tables import Table

from .by_depth import charts_by_depth
from .by_similarity import charts_by_similarity
from .chart import Chart
from .errors import charts_of_errors
from .fitting_cuts import charts_of_fit


def charts(table: Table) -> list[Chart]:
    """Return the charts that suit the columns of a table; none if there is nothing to draw."""
    by_place = charts_by_similarity(table) or charts_by_depth(table)
    return [*by_place, *charts_of_fit(table), *charts_of_errors(table)]
