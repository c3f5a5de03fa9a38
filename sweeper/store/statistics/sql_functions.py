"""The functions of `interval.py` as SQL functions.

Registered on every connection of a store:
    ci(a, b, y)               aggregate: STRUCT(mean, lo, hi, se, df, n_a, n_b, n_pairs, p_zero, note, images,
                              se_images, variances, degrees), for other models on the same test images
    ci(a, b, y, correct, against)    for other models and other test images; y is the difference, in percentage points,
                              of the images that are right in the two bitmaps, as in (gain, correct, b_correct) or
                              (net_gain, correct, own_correct)
    trend(a, b, x, y)         aggregate: the same struct for the slope of y over the levels x of A, such as
                              log2(a_samples), for other models on the same test images
    trend(a, b, x, y, correct, against)    for other models and other test images
    p_zero(ci)                two-sided p of the hypothesis mean = 0
    p_margin(ci, margin)      p of the hypothesis |mean| >= margin, by two one-sided tests (TOST)
    holm(p)                   Holm-adjusted p over all rows of the table; holm_of(list, p): over the ps of a list
    simultaneous(ci, count)   STRUCT(mean, lo, hi, confidence): the interval at the level 1 - 0.05 / count, with which
                              all of a family of `count` intervals contain their values in 95 % (Bonferroni)
    simultaneous(ci, count, looks)    at a look at growing data, so that those of all looks do (`looks.py`)
    verdict(interval, margin) "better", "as good", "worse" or "undecided", read off the bounds of an interval
    connected(interval, margin)    "connected", "not connected" or "undecided", for the interval of a penalty
    rising(interval)          "rising", "falling" or "undecided"
    as_well(ci, margin)       "does as well", "does worse" or "undecided", for a control's gain minus a stitch's
    caveats(controls, drift, converged, margin)  reasons to doubt that a stitch uses A in B's own way

DuckDB passes the rows of many groups at once, as Arrow lists. They hold no bitmaps, but their references
(`bitmaps.py`), which `reference(bitmap)` gives.
"""

import itertools
from collections.abc import Callable, Iterator

import duckdb
import numpy as np
import pyarrow as pa

from sweeper.resources import sql_text
from sweeper.store.statistics import interval
from sweeper.store.statistics.bitmaps import NONE, Bitmaps
from sweeper.store.statistics.looks import level_at
from sweeper.store.statistics.pairs import Stitches

# The macros that use the registered functions, in the order of creation; each is a file in `store/query/sql`.
_MACROS = (
    "ci", "ci_by_number", "trend", "trend_by_number", "p_zero", "p_margin", "holm", "simultaneous", "verdict",
    "connected", "rising", "as_well", "caveats",
)  # fmt: skip

_ROW = "STRUCT(a VARCHAR, b VARCHAR, x DOUBLE, y DOUBLE, correct INTEGER, against INTEGER)[]"
_NUMBERED_ROW = _ROW.replace("VARCHAR", "INTEGER")
_NUMBERED_ROW_WITHOUT_LEVEL = _NUMBERED_ROW.replace("x DOUBLE, ", "")
_INTERVAL = (
    "STRUCT(mean DOUBLE, lo DOUBLE, hi DOUBLE, se DOUBLE, df DOUBLE, n_a BIGINT, n_b BIGINT, n_pairs BIGINT, "
    "p_zero DOUBLE, note VARCHAR, images BIGINT, se_images DOUBLE, variances DOUBLE[], degrees DOUBLE[])"
)


_NUMBERS = pa.list_(pa.float64())
_ARROW_INTERVAL = pa.struct(
    {
        "mean": pa.float64(), "lo": pa.float64(), "hi": pa.float64(), "se": pa.float64(), "df": pa.float64(),
        "n_a": pa.int64(), "n_b": pa.int64(), "n_pairs": pa.int64(), "p_zero": pa.float64(), "note": pa.string(),
        "images": pa.int64(), "se_images": pa.float64(), "variances": _NUMBERS, "degrees": _NUMBERS,
    }
)  # fmt: skip
_ARROW_BOUNDS = pa.struct({"lo": pa.float64(), "hi": pa.float64(), "confidence": pa.float64()})


def register(con: duckdb.DuckDBPyConnection) -> None:
    """Register the SQL functions that the docstring of this module lists in a connection."""
    parts = ["DOUBLE", "DOUBLE[]", "DOUBLE[]"]
    bounds = "STRUCT(lo DOUBLE, hi DOUBLE, confidence DOUBLE)"
    con.create_function("p_within", interval.p_margin, [*parts, "DOUBLE"], "DOUBLE")  # type: ignore[arg-type]
    con.create_function("holm_of", interval.holm_of, ["DOUBLE[]", "DOUBLE"], "DOUBLE")  # type: ignore[arg-type]
    functions = Functions()
    for name, function, parameters, result in (
        ("reference", functions.reference, ["BLOB"], "INTEGER"),
        ("interval_of", functions.interval_of, [_ROW], _INTERVAL),
        ("trend_of", functions.trend_of, [_ROW], _INTERVAL),
        ("interval_by_number", functions.interval_of, [_NUMBERED_ROW_WITHOUT_LEVEL], _INTERVAL),
        ("trend_by_number_of", functions.trend_of, [_NUMBERED_ROW], _INTERVAL),
        ("bounds_of", bounds_of, [*parts, "BIGINT", "BIGINT"], bounds),
    ):
        con.create_function(name, function, parameters, result, type="arrow", null_handling="special")  # type: ignore[arg-type]
    for name in _MACROS:
        con.execute(sql_text(name))


class Functions:
    """The functions of one connection, which share its bitmaps."""

    def __init__(self) -> None:
        self._bitmaps = Bitmaps()

    def reference(self, column: pa.ChunkedArray) -> pa.Array:
        """Return the reference of each bitmap; null for a missing or empty one."""
        references = self._bitmaps.add(column.combine_chunks())
        return pa.array(references, mask=references == NONE)

    def interval_of(self, groups: pa.ChunkedArray) -> pa.Array:
        """Return the interval of the mean of each group of rows."""
        return self._intervals(groups, interval.estimate_mean)

    def trend_of(self, groups: pa.ChunkedArray) -> pa.Array:
        """Return the interval of the slope of each group of rows."""
        return self._intervals(groups, interval.estimate_trend)

    def _intervals(
        self, groups: pa.ChunkedArray, estimate: Callable[[Stitches, Bitmaps], interval.Estimate]
    ) -> pa.Array:
        estimates = [estimate(stitches, self._bitmaps) for stitches in _stitches_of_groups(groups.combine_chunks())]
        return pa.array([i._asdict() for i in interval.with_bounds(estimates)], _ARROW_INTERVAL)


def bounds_of(
    means: pa.ChunkedArray,
    variances: pa.ChunkedArray,
    degrees: pa.ChunkedArray,
    counts: pa.ChunkedArray,
    looks: pa.ChunkedArray,
) -> pa.Array:
    """Return the bounds of each interval at its level (`looks.level_at`); null where an argument is null."""
    rows = list(zip(*(column.to_pylist() for column in (means, variances, degrees, counts, looks)), strict=True))
    known = [row for row in rows if None not in row]
    if not known:
        return pa.nulls(len(rows), _ARROW_BOUNDS)
    mean, variance, df, count, look = zip(*known, strict=True)
    levels = np.array(list(map(level_at, count, look)))
    low, high = interval.simultaneous_bounds(np.array(mean), list(zip(variance, df, strict=True)), levels)
    columns = (low.tolist(), high.tolist(), (100 * levels).tolist())
    bounds = ({"lo": lo, "hi": hi, "confidence": percent} for lo, hi, percent in zip(*columns, strict=True))
    return pa.array([None if None in row else next(bounds) for row in rows], _ARROW_BOUNDS)


def _stitches_of_groups(groups: pa.ListArray) -> Iterator[Stitches]:
    """Yield the stitches of each group, without those that have no level.

    Raises:
        ValueError: A model has no name.
    """
    rows, offsets = groups.values, groups.offsets.to_numpy()
    a, b = _numbers(rows.field("a"), rows.field("b"))
    y = rows.field("y").to_numpy(zero_copy_only=False)
    has_levels = rows.type.get_field_index("x") >= 0
    x = rows.field("x").to_numpy(zero_copy_only=False) if has_levels else np.broadcast_to(0.0, len(y))
    correct, against = (rows.field(name).fill_null(NONE).to_numpy() for name in ("correct", "against"))
    has_level = rows.field("x").is_valid().to_numpy(zero_copy_only=False) if has_levels else None
    stitches = Stitches(a, b, x, y, correct, against)
    for start, stop in itertools.pairwise(offsets.tolist()):
        group = stitches.select(slice(start, stop))
        yield group if has_level is None else group.select(has_level[start:stop])


def _numbers(a: pa.Array, b: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of models, in the order of their names if they have names.

    Raises:
        ValueError: A model is null.
    """
    if a.null_count or b.null_count:
        raise ValueError("a model of an interval is null")
    if pa.types.is_integer(a.type):
        return a.to_numpy(), b.to_numpy()
    names = pa.chunked_array([a, b]).dictionary_encode().combine_chunks()
    texts = names.dictionary.to_pylist()
    rank = np.zeros(len(texts), np.int64)
    rank[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts))
    number_of_a, number_of_b = np.split(rank[names.indices.to_numpy()], 2)
    return number_of_a, number_of_b
