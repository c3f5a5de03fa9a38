"""Tests of the difference between two sides of tables."""

import pyarrow as pa

from sweeper.report.difference import DifferentValue, ShownInterval, difference
from sweeper.report.question import Question
from sweeper.report.tables import Table

QUESTION = Question("more_data", "?", "", "", "", sections=("a_samples",), settings=("lr", "batch"))


def table(*rows: tuple, name: str = "more_data") -> Table:
    """Return a table of rows (a_samples, lr, cut, gain, its lower and upper end)."""
    columns = ("a_samples", "lr", "cut", "gain", "gain_low", "gain_high")
    data = pa.table({column: [row[i] for row in rows] for i, column in enumerate(columns)})
    question = QUESTION if name == "more_data" else Question(name, "?", "", "", "")
    constants = {"lr": rows[0][1]} if len({row[1] for row in rows}) == 1 else {}
    return Table(question, data, constants, {})


def test_a_value_differs_if_its_intervals_do_not_overlap():
    left = table((100, 0.1, "conv1", 1.0, 0.5, 1.5), (100, 0.1, "conv2", 1.0, 0.5, 1.5))
    right = table((100, 0.1, "conv1", 1.4, 1.2, 1.6), (100, 0.1, "conv2", 3.0, 2.0, 4.0))
    result = difference([left], [right])
    assert (result.compared, result.only_left, result.only_right) == (2, 0, 0)
    place = {"a_samples": 100, "cut": "conv2"}
    value = DifferentValue("more_data", place, "gain", ShownInterval(1.0, 0.5, 1.5), ShownInterval(3.0, 2.0, 4.0))
    assert result.different == (value,)
    assert str(value) == "more_data, a_samples 100, cut conv2: gain +1 [0.5, 1.5] -> +3 [2, 4]"


def test_a_setting_that_differs_between_the_sides_is_what_is_compared():
    left, right = table((100, 0.1, "conv1", 1.0, 0.5, 1.5)), table((100, 0.2, "conv1", 9.0, 8.0, 9.5))
    assert len(difference([left], [right]).different) == 1


def test_a_setting_that_varies_on_a_side_tells_rows_apart():
    left = table((100, 0.1, "conv1", 1.0, 0.5, 1.5), (100, 0.2, "conv1", 2.0, 1.5, 2.5))
    right = table((100, 0.2, "conv1", 9.0, 8.0, 9.5))
    result = difference([left], [right])
    assert (result.compared, result.only_left, len(result.different)) == (1, 1, 1)


def test_rows_without_an_interval_and_tables_of_one_side_are_not_compared():
    left = table((100, 0.1, "conv1", 1.0, None, None))
    right = table((100, 0.1, "conv1", 9.0, 8.0, 9.5))
    assert difference([left], [right]).compared == 0
    assert difference([left], [table((100, 0.1, "conv1", 9.0, 8.0, 9.5), name="zoo")]).only_left == 0
