"""Verdicts in SQL, which are read off an interval; intervals of a family hold together."""

import duckdb
import pytest

from sweeper.store.statistics import sql_functions

A, B = range(5), range(5, 10)


@pytest.fixture
def con():
    """Open a connection that has the functions of intervals."""
    with duckdb.connect() as connection:
        sql_functions.register(connection)
        yield connection


def _verdicts(con: duckdb.DuckDBPyConnection, verdict: str, rows: dict[str, tuple[float, float]], count: int = 1):
    """Return the verdict on each named row, read off its interval in a family of `count`, with a margin of 1.

    A row is the (mean, spread) of the gains of five As and five Bs, whose effects are evenly spaced.
    """
    values = ", ".join(
        f"('{name}', 'm{a}', 'm{b}', {mean + spread * ((a - 2) + (b - 7)) / 4})"
        for name, (mean, spread) in rows.items()
        for a in A
        for b in B
    )
    sql = f"""
        WITH y(name, a, b, gain) AS (VALUES {values}),
        contrasts AS (SELECT name, simultaneous(ci(a, b, gain), {count}) AS gain FROM y GROUP BY ALL)
        SELECT name, {verdict} FROM contrasts"""
    return dict(con.sql(sql).fetchall())


@pytest.mark.parametrize(
    ("mean", "spread", "verdict"),
    [
        (5.0, 0.5, "better"),
        (1.5, 0.5, "better"),
        (0.5, 0.2, "as good"),  # above 0, but by less than the margin
        (0.1, 0.5, "as good"),
        (-0.5, 0.2, "as good"),
        (-1.5, 0.5, "worse"),
        (-5.0, 0.5, "worse"),
        (0.0, 5.0, "undecided"),
        (2.0, 5.0, "undecided"),
        (1.2, 0.5, "undecided"),  # above 0, but not shown to lie on one side of the margin
        (-1.2, 0.5, "undecided"),
    ],
)
def test_one_margin_governs_all_verdicts(con, mean, spread, verdict):
    assert _verdicts(con, "verdict(gain, 1)", {"cut": (mean, spread)}) == {"cut": verdict}


@pytest.mark.parametrize("mean", [-3.0, -1.0, -0.4, 0.0, 0.7, 1.0, 3.0])
def test_a_verdict_is_mirrored_with_its_gain(con, mean):
    """Better and worse exchange, whatever the width of the interval."""
    mirror = {"better": "worse", "worse": "better", "as good": "as good", "undecided": "undecided"}
    for spread in (0.1, 0.5, 2.0):
        both = _verdicts(con, "verdict(gain, 1)", {"plus": (mean, spread), "minus": (-mean, spread)})
        assert both["minus"] == mirror[both["plus"]]


@pytest.mark.parametrize(
    ("mean", "spread", "verdict"),
    [
        (0.0, 0.5, "connected"),
        (-0.3, 0.3, "connected"),
        (-5.0, 0.5, "connected"),  # better
        (5.0, 0.5, "not connected"),
        (0.0, 5.0, "undecided"),  # not different from 0, but not shown to lie below the margin
        (1.2, 0.5, "undecided"),
    ],
)
def test_connected_requires_an_interval_below_the_margin(con, mean, spread, verdict):
    assert _verdicts(con, "connected(gain, 1)", {"cut": (mean, spread)}) == {"cut": verdict}


def test_the_interval_of_one_of_many_is_wider(con):
    weak_gain = {"cut": (2.0, 1.2)}
    assert _verdicts(con, "verdict(gain, 1)", weak_gain, count=1) == {"cut": "better"}
    assert _verdicts(con, "verdict(gain, 1)", weak_gain, count=20) == {"cut": "undecided"}
    assert _verdicts(con, "gain.confidence", weak_gain, count=20) == {"cut": 99.75}
    widths = [_verdicts(con, "gain.hi - gain.lo", weak_gain, count=count)["cut"] for count in (1, 2, 20)]
    assert widths == sorted(widths)
    assert len(set(widths)) == 3


@pytest.mark.parametrize(("mean", "tendency"), [(5.0, "rising"), (-5.0, "falling"), (0.0, "undecided")])
def test_a_tendency_follows_from_the_interval_of_a_trend(con, mean, tendency):
    assert _verdicts(con, "rising(gain)", {"trend": (mean, 1.0)}) == {"trend": tendency}


def test_verdicts_are_undecided_with_one_model_on_a_side(con):
    row = con.sql("""
        WITH y(a, b, gain) AS (VALUES ('a', 'x', 5.0), ('b', 'x', 5.1)),
        one AS (SELECT simultaneous(ci(a, b, gain), 2) AS g FROM y)
        SELECT verdict(g, 1.0), connected(g, 1.0), g.mean, g.lo, g.confidence FROM one""").fetchall()
    assert row == [("undecided", "undecided", pytest.approx(5.05), None, None)]
