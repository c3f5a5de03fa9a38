"""Intervals and trends in SQL, for many groups at once, equal those that are computed from lists of rows."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import listed_statistics

from sweeper.store.statistics import sql_functions

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


class Row(NamedTuple):
    """A stitch: its group, models, level, value and outcomes."""

    group: int
    a: str
    b: str
    x: float | None
    y: float | None
    correct: bytes | None
    against: bytes | None


class Design(NamedTuple):
    """How the stitches of a group are drawn."""

    bottoms: int
    tops: int
    shared: int  # this many models are on both sides
    levels: int
    images: int
    repeats: int  # each pair is stitched up to this many times
    kept: float  # the share of the stitches that exist
    missing: float  # the share of the values, levels and outcomes that are missing
    seed: int


DESIGNS = st.builds(
    Design,
    bottoms=st.integers(1, 6),
    tops=st.integers(1, 6),
    shared=st.integers(0, 6),
    levels=st.integers(1, 3),
    images=st.integers(9, 150),
    repeats=st.integers(1, 3),
    kept=st.sampled_from([0.3, 0.8, 1.0]),
    missing=st.sampled_from([0.0, 0.0, 0.0, 0.1]),
    seed=st.integers(0, 2**32 - 1),
)


def stitches(group: int, design: Design) -> Iterator[Row]:
    """Draw the stitches of a group; bottoms may be stitched to themselves."""
    rng = np.random.default_rng(design.seed)
    ease = rng.normal(size=design.images)
    against = [np.packbits(ease + rng.normal(size=design.images) > 0.3).tobytes() for _ in range(design.tops)]
    for i, j in np.ndindex(design.bottoms, design.tops):
        for _ in range(rng.integers(1, design.repeats + 1)):
            if rng.random() < design.kept:
                right = ease + rng.normal(size=design.images) + 0.2 * i > 0
                correct, count = np.packbits(right).tobytes(), int(right.sum())
                of_top = int(np.bitwise_count(np.frombuffer(against[j], np.uint8)).sum())
                names = f"m{i}" if i < design.shared else f"a{i}", f"m{j}" if j < design.shared else f"b{j}"
                is_missing = rng.random(3) < design.missing
                yield Row(
                    group, *names, None if is_missing[0] else float(i % design.levels),
                    None if is_missing[1] else 100 * (count - of_top) / design.images,
                    None if is_missing[2] else correct, against[j],
                )  # fmt: skip


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """Return a connection with the functions."""
    with duckdb.connect(":memory:") as connection:
        sql_functions.register(connection)
        yield connection


def assert_equal(result: dict[str, Any], expected: listed_statistics.Interval, scale: float):
    """Compare an interval of SQL with that of lists, to 1e-12 of the largest value; p and df are found by bisection."""
    for name, value in expected._asdict().items():
        tolerance = {"p_zero": 1e-8, "df": 1e-8}.get(name, 1e-12)
        if name in ("variances", "degrees") and value is not None:
            assert result[name] == pytest.approx(list(value), rel=tolerance, abs=tolerance * scale**2), name
        elif isinstance(value, float) and name in ("p_zero", "df"):
            if expected.se > 1e-6 * scale:  # else both are quotients of rounding errors
                assert result[name] == pytest.approx(value, rel=tolerance, abs=1e-90), name
        elif isinstance(value, float):
            # A standard error is the root of a variance, whose rounding error is relative to the squared values.
            rounding = tolerance * scale if name == "mean" or expected.se > 1e-6 * scale else 1e-7 * scale
            assert result[name] == pytest.approx(value, rel=tolerance, abs=rounding), name
        else:
            assert result[name] == value, name


@settings(deadline=None, max_examples=60)
@given(st.lists(DESIGNS, min_size=1, max_size=5))
@example([Design(5, 6, 0, 2, 9, 1, 1.0, 0.0, 0)])
@example([Design(6, 6, 6, 2, 70, 3, 0.8, 0.0, 1), Design(1, 3, 0, 1, 9, 1, 1.0, 0.0, 2)])
def test_intervals_and_trends_equal_those_of_lists_of_rows(con: duckdb.DuckDBPyConnection, designs: list[Design]):
    rows = [row for group, design in enumerate(designs) for row in stitches(group, design)]
    shuffled = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    types = pa.schema(
        {
            "group": pa.int64(), "a": pa.string(), "b": pa.string(), "x": pa.float64(), "y": pa.float64(),
            "correct": pa.binary(), "against": pa.binary(),
        }
    )  # fmt: skip
    con.register("stitches", pa.Table.from_pylist([row._asdict() for row in shuffled], types))
    query = """
        SELECT
            "group", ci(a, b, y) AS ci, ci(a, b, y, correct, against) AS ci_images,
            trend(a, b, x, y) AS trend, trend(a, b, x, y, correct, against) AS trend_images
        FROM stitches GROUP BY ALL
    """
    results = con.sql(query).to_arrow_table().to_pylist()
    assert len(results) == len({row.group for row in rows})
    for result in results:
        _, a, b, x, y, correct, against = zip(*(row for row in rows if row.group == result["group"]), strict=True)
        scale = max(100.0, *(abs(value) for value in y if value is not None))
        assert_equal(result["ci"], listed_statistics.model_interval(a, b, y), scale)
        assert_equal(result["ci_images"], listed_statistics.model_interval(a, b, y, correct, against), scale)
        assert_equal(result["trend"], listed_statistics.trend_interval(a, b, x, y), scale)
        assert_equal(result["trend_images"], listed_statistics.trend_interval(a, b, x, y, correct, against), scale)


def test_outcomes_of_another_size_or_without_a_counterpart_hold_the_images_fixed(con: duckdb.DuckDBPyConnection):
    query = "SELECT ci('a' || i % 2, 'b' || i % 3, 0.0, {}, '\\xFF\\xFF'::BLOB) AS ci FROM range(12) AS t(i)"
    for correct in ("repeat('a', 2 + (i % 2)::INT)::BLOB", "CASE WHEN i > 3 THEN 'ab'::BLOB END"):
        (interval,) = con.sql(query.format(correct)).fetchall()[0]
        assert (interval["images"], interval["note"]) == (None, listed_statistics.MISSING)


def test_a_model_without_a_name_is_refused(con: duckdb.DuckDBPyConnection):
    with pytest.raises(duckdb.Error, match="a model of an interval is null"):
        con.sql("SELECT ci(NULL, 'b', 1.0)").fetchall()
