"""Tests of rows as text for files and pipes."""

from sweeper.cli.row_table import Kind
from sweeper.cli.row_text import pieces

NAMES, KINDS = ("task", "message"), (Kind.NUMBER, Kind.TEXT)


def text(*batches) -> str:
    return "".join(pieces(NAMES, batches, KINDS, width=30))


def test_rows_that_fit_are_aligned():
    assert text([("1", "no"), ("22", "yes")]) == "task  message\n─────────────\n   1  no\n  22  yes\n"


def test_rows_that_do_not_fit_are_lists_of_values_with_every_character():
    long = "x" * 500
    assert text([("1", long)], [("2", "a\nb")]) == (
        f"row 1\n  task     1\n  message  {long}\nrow 2\n  task     2\n  message  a\n           b\n"
    )


def test_a_later_row_that_is_longer_is_not_cut():
    assert text([("1", "no")], [("2", "y" * 50)]).splitlines()[-1] == f"   2  {'y' * 50}"


def test_without_rows_the_names_are_shown():
    assert text() == "task  message\n─────────────\n"
