"""Tables in a terminal."""

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sweeper.report import format as formats
from sweeper.report.question import Question
from sweeper.report.tables import Table
from sweeper.report.terminal import tables_as_text


def _table(columns: dict[str, list]) -> Table:
    question = Question(name="t", question="Is it so?", one_row_per="row", read_it_as="it is", sql="")
    return Table(question, pa.table(columns), {}, {})


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_no_line_is_too_long_and_no_cell_is_lost(demo_tables, width):
    for table in demo_tables.values():
        text = tables_as_text([table], width)
        assert max(cell_len(line) for line in text.splitlines()) <= width
        for section in formats.lay_out(table).sections:
            for row in section.rows:
                for cell in row:
                    assert cell in text


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,12}(_[a-z]{1,12})?", fullmatch=True),
        st.lists(st.one_of(st.integers(-(2**40), 2**40), st.none()), min_size=3, max_size=3),
        min_size=1,
        max_size=12,
    ),
    st.integers(30, 120),
)
def test_every_number_is_shown_in_full(columns, width):
    text = tables_as_text([_table(columns)], width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    numbers = re.findall(r"-?\d+", text)
    for values in columns.values():
        for value in values:
            assert value is None or str(value) in numbers


def test_numbers_are_aligned_to_the_right():
    lines = tables_as_text([_table({"cut": ["a", "bb"], "pairs": [5, 12345]})], 80).splitlines()
    assert lines[5:7] == ["a        5", "bb   12345"]


def test_a_table_that_fits_is_one_block(demo_tables):
    text = tables_as_text([demo_tables["more_data"]], 200)
    assert sum(line.startswith("cut") for line in text.splitlines()) == 1
    assert "(depth >= 0.5)" in text


def test_colours_are_optional(demo_tables):
    assert "\x1b[" not in tables_as_text([demo_tables["more_data"]], 100)
    coloured = tables_as_text([demo_tables["more_data"]], 100, color=True)
    assert re.search(r"\x1b\[1;32mbetter", coloured)


def test_an_escape_code_in_a_name_is_not_printed():
    assert "\x1b" not in tables_as_text([_table({"job": ["\x1b[2Jgone"], "n": [1]})], 80)


def test_an_empty_table_has_no_rows_yet(empty):
    from sweeper.report.tables import tables

    assert "no rows yet" in tables_as_text(tables(empty, ["more_data"]), 80)
