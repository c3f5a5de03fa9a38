"""Verdicts in SQL: read off an interval, corrected over a family."""

import duckdb
import numpy as np
import pytest

from sweeper.store.statistics import interval

A, B = range(5), range(5, 10)


@pytest.fixture
def con():
    with duckdb.connect() as connection:
        interval.register(connection)
        yield connection


def _ask(con: duckdb.DuckDBPyConnection, verdict: str, rows: dict[str, tuple[float, float]], margin: float = 1.0):
    """The verdict on each row: five A and five B, whose models' effects are spread evenly by `spread` about `mean`."""
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
        (0.5, 0.2, "better"),  # within the margin as well, but above 0
        (0.1, 0.5, "as good"),
        (-0.5, 0.2, "as good"),  # below 0, but by less than the margin
        (-5.0, 0.5, "worse"),
        (0.0, 5.0, "undecided"),
        (2.0, 5.0, "undecided"),
    ],
)
def test_a_verdict_is_read_off_the_interval(con, mean, spread, verdict):
    assert _ask(con, "verdict", {"cut": (mean, spread)}) == {"cut": verdict}


@pytest.mark.parametrize(
    ("mean", "spread", "verdict"),
    [
        (0.0, 0.5, "connected"),
        (-0.3, 0.3, "connected"),
        (-5.0, 0.5, "not connected"),
        (5.0, 0.5, "not connected"),
        (0.0, 5.0, "undecided"),  # no difference was found: that is no likeness
        (-1.2, 0.5, "undecided"),
    ],
)
def test_connected_needs_evidence_of_likeness(con, mean, spread, verdict):
    assert _ask(con, "connected", {"cut": (mean, spread)}) == {"cut": verdict}


def test_more_questions_ask_for_more_evidence(con):
    """A gain that alone is better is undecided among many that are nothing; a family of its own protects it."""
    weak = (1.2, 1.6)
    noise = {f"cut{i}": (0.0, 5.0) for i in range(20)}
    assert _ask(con, "verdict", {"cut": weak})["cut"] == "better"
    assert _ask(con, "verdict", {"cut": weak, **noise})["cut"] == "undecided"
    assert _ask(con, "verdict", {"headline": weak, **noise})["headline"] == "better"


def test_two_intervals_a_row_are_one_family(con):
    """A claim that holds by itself is one of two beside the second interval of its row, and then too weak."""
    values = ", ".join(f"('m{a}', 'm{b}', {0.6 + (a + b - 9) / 4}, {5.0 * (a + b - 9) / 4})" for a in A for b in B)
    sql = f"WITH y(a, b, y, z) AS (VALUES {values}), c AS (SELECT ci(a, b, y) AS gain, ci(a, b, z) AS net FROM y)"
    ((p, *verdicts),) = con.sql(f"""
        {sql} SELECT p_zero(gain), verdict(gain, 1.0, 0), verdict(gain, 1.0, 0, net), verdict(net, 1.0, 0, gain)
        FROM c""").fetchall()
    assert 0.025 < p < 0.05
    assert verdicts == ["better", "undecided", "undecided"]
    ((p, *verdicts),) = con.sql(f"""
        {sql} SELECT p_margin(gain, 1.25), connected(gain, 1.25, 0), connected(gain, 1.25, 0, net),
            connected(gain, 1.25, 0, CASE WHEN false THEN net END)
        FROM c""").fetchall()
    assert 0.0125 < p < 0.025
    assert verdicts == ["connected", "undecided", "connected"]


@pytest.mark.parametrize(("mean", "tendency"), [(5.0, "rising"), (-5.0, "falling"), (0.0, "undecided")])
def test_rising_is_read_off_the_interval(con, mean, tendency):
    values = ", ".join(f"('m{a}', 'm{b}', {mean + ((a - 2) + (b - 7)) / 4})" for a in A for b in B)
    sql = f"WITH y(a, b, y) AS (VALUES {values}), t AS (SELECT ci(a, b, y) AS c FROM y) SELECT rising(c, 0) FROM t"
    assert con.sql(sql).fetchall() == [(tendency,)]


def test_false_claims_are_as_rare_as_promised():
    """Ten contrasts, half of them nothing, half as large as the margin: any false claim of a kind in 5 and 2.5 %."""
    rng = np.random.default_rng(0)
    false_zero, false_margin = [], []
    for _ in range(2000):
        truth = np.repeat([0.0, 1.0], 5)
        t = truth + 0.25 * rng.standard_t(8, size=10)
        adjusted = interval.holm([interval.p_zero(float(mean), 0.25, 8) for mean in t])
        false_zero.append(min(p for p in adjusted[:5] if p is not None) <= 0.05)
        adjusted = interval.holm([interval.p_margin(float(mean), 0.25, 8, 1.0) for mean in t])
        false_margin.append(min(p for p in adjusted[5:] if p is not None) <= 0.025)
    assert 0.02 < np.mean(false_zero) < 0.065
    assert 0.005 < np.mean(false_margin) < 0.035


def test_one_model_a_side_decides_nothing(con):
    row = con.sql("""
        WITH y(a, b, gain) AS (VALUES ('a', 'x', 5.0), ('b', 'x', 5.1)), one AS (SELECT ci(a, b, gain) AS g FROM y)
        SELECT verdict(g, 1.0, 0), connected(g, 1.0, 0), g.lo FROM one""").fetchall()
    assert row == [("undecided", "undecided", None)]
