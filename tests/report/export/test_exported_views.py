"""Tests of the views that an export writes."""

import pytest
from support import store_rows

from sweeper.errors import UsageError
from sweeper.report.export.exported_views import ViewSelection, columns_of, read_views


def test_empty_views_are_left_out_and_rows_are_counted(store):
    with store.connect() as connection:
        counts = {}
        for view in read_views(connection, ViewSelection()):
            table = view.rows.read_all()
            counts[view.name] = view.count
            assert view.count == table.num_rows
    assert counts == {"models": 2, "stitches": 7}


@pytest.mark.parametrize("view", ["models", "stitches", "failures", "runs"])
def test_columns_and_types_are_those_of_the_view(store, view):
    store.commit([store_rows.start("r1", job="toy")], run="r1", worker="w")
    with store.connect() as connection:
        described = [row[:2] for row in connection.execute(f"DESCRIBE {view}").fetchall()]
        schema = connection.sql(f"FROM {view}").to_arrow_table().schema
        (exported,) = read_views(connection, ViewSelection([view], has_bitmaps=True))
        assert exported.rows.read_all().schema.equals(schema)
    assert [(column.name, column.type) for column in exported.columns] == described
    assert all(column.meaning for column in exported.columns)


def test_bitmaps_are_left_out_unless_they_are_selected():
    every = {column.name for column in columns_of("stitches", True)}
    assert every - {column.name for column in columns_of("stitches", False)} == {
        "correct", "a_correct", "b_correct", "own_correct"
    }  # fmt: skip


def test_runs_are_those_of_the_job(store):
    store.commit([store_rows.start("r1", job="one"), store_rows.start("r2", job="two")], run="r1", worker="w")
    with store.connect() as connection:
        (view,) = read_views(connection, ViewSelection(["runs"], job="two"))
        assert view.rows.read_all()["job"].to_pylist() == ["two"]


def test_an_unknown_view_is_refused():
    with pytest.raises(UsageError, match="there is no such view; did you mean 'stitches'"):
        ViewSelection(["stiches"]).check()
