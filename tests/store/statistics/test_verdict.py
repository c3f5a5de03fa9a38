"""Verdicts in SQL, which follow from an interval and are corrected over a family."""

import duckdb
import numpy as np
import pytest

from sweeper.store.statistics import interval

A, B = range(5), range(5, 10)


@pytest.fixture
def con():
    """Open a connection that has the functions of intervals."""
    with duckdb.connect() as connection:
        interval.register(connection)
        yield connection


def _verdicts(con: duckdb.DuckDBPyConnection, verdict: str, rows: dict[str, tuple[float, float]], margin: float = 1.0):
    """Return the verdict on each named row.

    A row is the (mean, spread) of the gains of five As and five Bs, whose effects are evenly spaced.
    """
    values = ", ".join(
        f"('{name}', {name[0] == 'h'}, 'm{a}', 'm{b}', {mean + spread * ((a - 2) + (b - 7)) / 4})"
        for name, (mean, spread) in rows.items()
        for a in A
        for b in B
    )
    sql = f"""
        WITH y(name, headline, a, b, gain) AS (VALUES {values}),
        contrasts AS (SELECT name, headline, ci(a, b, gain) AS gain FROM y GROUP BY ALL)
        SELECT name, {verdict}(gain, {margin}, headline) FROM contrasts"""
    return dict(con.sql(sql).fetchall())


@pytest.mark.parametrize(
    ("mean", "spread", "verdict"),
    [
        (5.0, 0.5, "better"),
        (0.5, 0.2, "better"),  # within the margin, too, but above 0
        (0.1, 0.5, "as good"),
        (-0.5, 0.2, "as good"),  # below 0, but by less than the margin
        (-5.0, 0.5, "worse"),
        (0.0, 5.0, "undecided"),
        (2.0, 5.0, "undecided"),
    ],
)
def test_a_verdict_follows_from_the_interval(con, mean, spread, verdict):
    assert _verdicts(con, "verdict", {"cut": (mean, spread)}) == {"cut": verdict}


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
    assert _verdicts(con, "connected", {"cut": (mean, spread)}) == {"cut": verdict}


def test_a_verdict_is_corrected_over_the_rows_of_its_family(con):
    """A weak gain is better alone or in a family of its own, but undecided in a family with many gains of 0."""
    weak_gain = (1.2, 1.6)
    gains_of_0 = {f"cut{i}": (0.0, 5.0) for i in range(20)}
    assert _verdicts(con, "verdict", {"cut": weak_gain})["cut"] == "better"
    assert _verdicts(con, "verdict", {"cut": weak_gain, **gains_of_0})["cut"] == "undecided"
    assert _verdicts(con, "verdict", {"headline": weak_gain, **gains_of_0})["headline"] == "better"


@pytest.mark.parametrize(("mean", "tendency"), [(5.0, "rising"), (-5.0, "falling"), (0.0, "undecided")])
def test_a_tendency_follows_from_the_interval_of_a_trend(con, mean, tendency):
    values = ", ".join(f"('m{a}', 'm{b}', {mean + ((a - 2) + (b - 7)) / 4})" for a in A for b in B)
    sql = f"WITH y(a, b, y) AS (VALUES {values}), t AS (SELECT ci(a, b, y) AS c FROM y) SELECT rising(c, 0) FROM t"
    assert con.sql(sql).fetchall() == [(tendency,)]


def test_the_shares_of_families_with_a_false_verdict_are_as_stated():
    """Draw ten contrasts, five of 0 and five as large as the margin; 5 % and 2.5 % of families have a false verdict."""
    rng = np.random.default_rng(0)
    false_zero, false_margin = [], []
    for _ in range(2000):
        true_means = np.repeat([0.0, 1.0], 5)
        means = true_means + 0.25 * rng.standard_t(8, size=10)
        adjusted = interval.holm([interval.p_zero(float(mean), 0.25, 8) for mean in means])
        false_zero.append(min(p for p in adjusted[:5] if p is not None) <= 0.05)
        adjusted = interval.holm([interval.p_margin(float(mean), 0.25, 8, 1.0) for mean in means])
        false_margin.append(min(p for p in adjusted[5:] if p is not None) <= 0.025)
    assert 0.02 < np.mean(false_zero) < 0.065
    assert 0.005 < np.mean(false_margin) < 0.035


def test_verdicts_are_undecided_with_one_model_on_a_side(con):
    row = con.sql("""
        WITH y(a, b, gain) AS (VALUES ('a', 'x', 5.0), ('b', 'x', 5.1)), one AS (SELECT ci(a, b, gain) AS g FROM y)
        SELECT verdict(g, 1.0, 0), connected(g, 1.0, 0), g.lo FROM one""").fetchall()
    assert row == [("undecided", "undecided", None)]
