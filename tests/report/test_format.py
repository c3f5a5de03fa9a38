"""Tables as text: Markdown, LaTeX, CSV, JSON."""

import csv
import io
import json
import math
from dataclasses import replace

import pyarrow as pa
import pytest

from sweeper.report import format as formats
from sweeper.report.question import Parameter, Question
from sweeper.report.tables import Table


def _table(columns: dict[str, list], sections: tuple[str, ...] = (), constants: dict | None = None) -> Table:
    question = Question(
        name="my_table",
        question="Is 5 % of A_1 <b>better</b>?",
        one_row_per="cut",
        read_it_as="a gain | a loss",
        rule="better: above 0",
        parameters=(Parameter("margin", 1.0, "points"),),
        sections=sections,
        sql="SELECT 1",
    )
    return Table(question, pa.table(columns), constants or {}, {"margin": 2.0}, ("A remark.",), ("A note.",))


GAINS = {
    "a_samples": [1200, 1200, 100],
    "cut": ["conv1", "pool", "pool"],
    "gain": [5.123456789, -0.04, None],
    "gain_low": [3.2, -0.9, None],
    "gain_high": [7.04, 0.8, None],
    "pairs": [25, 1_000_000, 0],
    "verdict": ["better", "undecided", None],
}


def test_a_value_and_its_bounds_are_one_cell():
    grid = formats.lay_out(_table(GAINS, sections=("a_samples",)))
    assert [column.title for column in grid.columns] == ["cut", "gain", "pairs", "verdict"]
    assert [column.numeric for column in grid.columns] == [False, True, True, False]
    first, second = grid.sections
    assert (first.title, second.title) == ("A samples 1200", "A samples 100")
    assert first.rows == (
        ("conv1", "+5.1 [3.2, 7.0]", "25", "better"),
        ("pool", "+0.0 [-0.9, 0.8]", "1000000", "undecided"),
    )
    assert second.rows == (("pool", "–", "0", "–"),)


@pytest.mark.parametrize(
    ("half", "cell"), [(2.0, "+1.2 [-0.8, 3.2]"), (0.3, "+1.23 [0.93, 1.53]"), (0.004, "+1.23 [1.23, 1.24]")]
)
def test_the_interval_decides_the_number_of_decimals(half, cell):
    grid = formats.lay_out(_table({"gain": [1.234], "gain_low": [1.234 - half], "gain_high": [1.234 + half]}))
    assert grid.sections[0].rows == ((cell,),)


@pytest.mark.parametrize(
    ("name", "content", "cell"),
    [
        ("steps", 120_000, "120000"),
        ("parameters", 12_345_678_901, "12345678901"),
        ("gain", -0.0, "+0.0"),
        ("penalty", -0.04, "+0.0"),
        ("error", 8.5900001, "8.59"),
        ("lr", 0.0001, "0.0001"),
        ("epochs", 306.875, "306.875"),
        ("depth", 1 / 19, "0.05"),
        ("nested", True, "yes"),
        ("gain", math.nan, "–"),
        ("width", None, "–"),
        ("job", "a\x1b[31mred\n", "a\ufffd[31mred\ufffd"),
    ],
)
def test_the_column_decides_the_format_of_a_value(name, content, cell):
    assert formats.format_value(name, content) == cell


def test_a_heading_names_the_settings_of_both_sides():
    cells = {"a_width": "16", "b_width": "8", "protocol": "strict"}
    assert formats.heading(list(cells), cells) == "A width 16 → B width 8 · protocol strict"


def test_settings_that_vary_are_in_the_heading():
    """Give the rows of two protocols two headings, so that they are not read as one group."""
    table = _table({"a_samples": [5, 5], "protocol": ["paper", "strict"], "gain": [1.0, 2.0]}, ("a_samples",))
    table = replace(table, question=replace(table.question, settings=("protocol",)))
    grid = formats.lay_out(table)
    assert [column.name for column in grid.columns] == ["gain"]
    assert [section.title for section in grid.sections] == [
        "A samples 5 · protocol paper",
        "A samples 5 · protocol strict",
    ]


def test_the_caption_says_how_to_read_the_table():
    table = _table(GAINS, constants={"protocol": "strict", "options": "{}", "other": None})
    assert formats.caption(table) == [
        "One row per: cut",
        "Read it as: a gain | a loss",
        "Rule: better: above 0",
        "Parameters: margin = 2.0 (points)",
        "In all rows: protocol strict",
        "Note: A remark.",
        "Note: A note.",
    ]


def test_markdown_escapes_its_special_characters():
    text = formats.table_as_markdown(_table({"cut": ["a|b", "[x](javascript:y)"], "pairs": [1, 2]}))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[:2] == ["| cut | pairs |", "| :--- | ---: |"]
    assert rows[2] == r"| a\|b | 1 |"
    assert r"[x]\(javascript:y)" in rows[3]
    assert r"\<b>" in text
    assert "<b>" not in text.replace(r"\<b>", "")


def test_latex_escapes_and_has_every_row():
    text = formats.latex(_table(GAINS, sections=("a_samples",)))
    assert r"\caption{Is 5 \% of A\_1 \textless{}b\textgreater{}better\textless{}/b\textgreater{}?}" in text
    assert r"\multicolumn{4}{l}{\textbf{A samples 1200}} \\" in text
    assert r"conv1 & +5.1 [3.2, 7.0] & 25 & better \\" in text
    assert text.count(r"\begin{") == text.count(r"\end{") == 2


def test_csv_has_full_precision():
    rows = list(csv.DictReader(io.StringIO(formats.table_as_csv(_table(GAINS)))))
    assert [row["gain"] for row in rows] == ["5.123456789", "-0.04", ""]
    assert list(rows[0]) == list(GAINS)


def test_json_has_full_precision_and_no_nan():
    text = formats.tables_as_json([_table(GAINS | {"gain": [5.123456789, math.nan, math.inf]})], {"my_table": ["Yes."]})
    (table,) = json.loads(text, parse_constant=pytest.fail)
    assert [row["gain"] for row in table["rows"]] == [5.123456789, None, None]
    assert table["name"] == "my_table"
    assert table["parameters"] == {"margin": 2.0}
    assert table["notes"] == ["A remark.", "A note."]
    assert table["columns"] == list(GAINS)
    assert table["answers"] == ["Yes."]


def test_a_table_without_rows_is_formatted():
    empty = _table({"cut": pa.array([], pa.string()), "gain": pa.array([], pa.float64())})
    assert formats.lay_out(empty).sections == ()
    assert "No rows yet" in formats.table_as_markdown(empty)
    assert r"\bottomrule" in formats.latex(empty)
    assert json.loads(formats.tables_as_json([empty], {}))[0]["rows"] == []
