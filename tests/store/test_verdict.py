"""Verdicts in SQL: read off an interval, corrected over a family."""

import duckdb
import pytest

from sweeper.store import interval

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


def test_one_model_a_side_decides_nothing(con):
    row = con.sql("""
        WITH y(a, b, gain) AS (VALUES ('a', 'x', 5.0), ('b', 'x', 5.1)), one AS (SELECT ci(a, b, gain) AS g FROM y)
        SELECT verdict(g, 1.0, 0), connected(g, 1.0, 0), g.lo FROM one""").fetchall()
    assert row == [("undecided", "undecided", None)]
