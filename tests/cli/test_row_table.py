"""Tests of rows on a terminal."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sweeper.cli.row_table import HIDDEN_LINES, Kind, cut, table_lines

CELLS = st.text(max_size=90) | st.sampled_from(["é" * 70, "日本" * 30, "a\nb\x1b[2J"])
CELLS_BY_KIND = {
    Kind.TEXT: CELLS,
    Kind.NUMBER: st.floats(allow_nan=False).map(lambda number: f"{number:.4g}"),
    Kind.TIME: st.just("2026-11-30 05:58:12+00"),
}


@st.composite
def tables(draw):
    """Draw the names of columns, rows, and what the cells of each column are."""
    choices = {kind: draw(st.lists(cells, min_size=1, max_size=4)) for kind, cells in CELLS_BY_KIND.items()}
    random = draw(st.randoms(use_true_random=False))
    count = draw(st.integers(1, 100))
    names = [f"{random.choice(['a', 'test_error', 'b_label_noise_kind'])}_{i}" for i in range(count)]
    kinds = random.choices(list(Kind), k=count)
    rows = [[random.choice(choices[kind]) for kind in kinds] for _ in range(draw(st.integers(0, 3)))]
    return names, rows, kinds


@given(tables(), st.integers(40, 250))
def test_three_rows_fit_the_terminal(table, width):
    names, rows, kinds = table
    lines = list(table_lines(names, rows, kinds, width))
    assert len(lines) <= 40
    assert max(map(cell_len, lines)) <= width
    assert all(line.isprintable() for line in lines)


@given(tables(), st.integers(40, 250))
def test_each_column_is_shown_or_named(table, width):
    names, rows, kinds = table
    head, _, *others = table_lines(names, rows, kinds, width)
    beneath = " ".join(others[len(rows) :])
    assert "…" in beneath or all(name in head.split() or name in beneath for name in names)
    if not beneath:
        assert head.split() == names


@given(tables(), st.integers(40, 250))
def test_numbers_and_times_are_never_cut(table, width):
    names, rows, kinds = table
    head, _, *others = table_lines(names, rows, kinds, width)
    for line, row in zip(others, rows, strict=False):
        for name, cell, kind in zip(names, row, kinds, strict=True):
            assert kind is Kind.TEXT or name not in head.split() or cell in line


def test_columns_that_fit_are_shown_whole():
    lines = list(table_lines(["cut", "gain"], [["conv1", "2.5"], ["block8", "-10"]], [Kind.TEXT, Kind.NUMBER], 80))
    assert lines == ["cut     gain", "────────────", "conv1    2.5", "block8   -10"]


def test_a_long_text_is_cut_and_takes_the_room_that_is_left():
    rows = [["1", "the disk is full " * 20], ["2", "no"]]
    _, _, first, second = table_lines(["task", "message"], rows, [Kind.NUMBER, Kind.TEXT], 40)
    assert first == "   1  the disk is full the disk is full…"
    assert second == "   2  no"


def test_columns_that_differ_between_rows_come_first_and_others_are_named_with_their_value():
    names = [f"constant_{i}" for i in range(10)] + ["gain"]
    rows = [["x"] * 10 + ["1"], ["x"] * 10 + ["2"]]
    lines = list(table_lines(names, rows, [Kind.TEXT] * 10 + [Kind.NUMBER], 40))
    assert lines[0].split()[-1] == "gain"
    assert "constant_9=x" in " ".join(lines)


def test_names_stay_where_the_values_do_not_fit():
    names = [f"column_{i}" for i in range(100)]
    lines = list(table_lines(names, [["some value"] * 100], [Kind.TEXT] * 100, 60))
    assert len(lines) <= HIDDEN_LINES + 6
    assert "column_99" in " ".join(lines)
    assert "some value" not in " ".join(lines[4:])


def test_a_wide_character_is_not_halved():
    assert cut("日本語", 5) == "日本…"
    assert cut("日本語", 4) == "日…"
