"""A store whose texts, numbers and nulls are hard to export."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support import store_rows

from sweeper.report.export.exported_views import ExportedView, Origin, ViewSelection, read_views
from sweeper.store.store import Store

ORIGIN = Origin("0123456789abcdef", "0.1.0")
# Texts that a format may lose: one is the name of a file that isn't UTF-8.
TEXTS = (
    "comma, \"quote\" and 'quote'",
    "two\nlines\r\nand\ttab",
    "naïve 学习 🙂",
    "\udce9 alone",
    "",
    " null ",
    "NULL",
)
NUMBERS = (0.1 + 0.2, -0.0, 1e-320, 1.7976931348623157e308, math.pi, -7.0, 1e22)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return a store with a stitch and a failure for each of `TEXTS`, and no similarities."""
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    store = Store.open(str(tmp_path / "store"), create=True)
    models = [store_rows.model(f"m{i}", correct=bytes(range(256)), width=None) for i in range(2)]
    for model in models:
        store.put_weights(store_rows.weights_of(model.task))
    stitches = [
        store_rows.stitch(
            "m0", "m1", task=f"s{i}", options=text, gain=number, correct=bytes([i]) * 7, direct_error=None
        )
        for i, (text, number) in enumerate(zip(TEXTS, NUMBERS, strict=True))
    ]
    failures = [store_rows.filled(store_rows.FailureRow, task=f"f{i}", message=text) for i, text in enumerate(TEXTS)]
    store.commit([*models, *stitches, *failures], run="r", worker="w")
    return store


@pytest.fixture
def export(store: Store) -> Callable[..., None]:
    """Return a function that gives views of the store to a writer, and the origin and a path."""

    def write(writer: Callable, path: Path, *views: str, has_bitmaps: bool = True) -> None:
        with store.connect() as connection:
            writer(read_views(connection, ViewSelection(views, has_bitmaps=has_bitmaps)), ORIGIN, path)

    return write


def rows_of(store: Store, view: str) -> Sequence[dict]:
    """Return the rows of a view by the store's own query, sorted by the task."""
    return store.sql(f"FROM {view} ORDER BY task").to_pylist()


def exported(views: Sequence[ExportedView]) -> list[str]:
    """Return the names of views."""
    return [view.name for view in views]
