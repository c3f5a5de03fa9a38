"""Tests of the lines that say why tasks failed."""

import pytest

from sweeper.cli.causes import QUERY, cause_lines, command_lines
from sweeper.store.failure_causes import FailureCause


def causes(count: int) -> list[FailureCause]:
    return [
        FailureCause("stitches", f"ValueError at f.py:{i}", 10 - i, f"{i}" * 32, "a\nb\x1b[2J" * 99)
        for i in range(count)
    ]


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_at_most_eight_lines_without_control_characters(count):
    lines = [*cause_lines(causes(count)), *command_lines(causes(count), "--store x")]
    assert len(lines) <= 8
    assert all(line.isprintable() for line in lines)
    assert lines[:2] == ["failed:    10 stitches: ValueError at f.py:0", lines[1]]
    assert lines[1].startswith("           for example 000000000000: a b [2Ja b")
    assert lines[-1] == "details:   sweeper explain 000000000000 --store x"


def test_further_causes_are_counted_with_the_query_that_lists_them():
    assert not any(line.startswith("all:") for line in command_lines(causes(3), ""))
    line = next(command_lines(causes(5), "--store x"))
    assert line.startswith('all:       sweeper sql "FROM failures SELECT kind')
    assert line.endswith('DESC" --store x (2 more causes of 13 failures)')


def test_without_failures_there_are_no_lines():
    assert [*cause_lines([]), *command_lines([], "")] == []


def test_the_query_runs(sweeper, complete_store):
    result = sweeper("sql", QUERY, "-f", "csv")
    assert (result.returncode, result.stdout) == (0, '"kind","error","place","tasks"\n'), result.stderr
