"""Tests of texts of errors: every error has one, which can be stored and is short enough."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.spec.records import text
from sweeper.spec.records.text import LONGEST, error_text, storable, trace_text


class UnprintableError(Exception):
    """An error whose text raises."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def caught(error: Exception) -> Exception:
    """Return an error with a traceback."""
    try:
        raise error
    except Exception as raised:
        return raised


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("plain"), "plain"),
        (FileNotFoundError(2, "missing", "caf\udce9.png"), "[Errno 2] missing: 'caf\\udce9.png'"),
        (UnprintableError(), "(the error's own text can't be made: RuntimeError)"),
        (KeyError("\ud800"), "'\\ud800'"),
        (Exception(), ""),
    ],
)
def test_every_error_has_a_text_that_can_be_stored(error, expected):
    assert error_text(error) == expected
    for value in (error_text(error), trace_text(caught(error))):
        assert value.encode().decode() == value
    assert type(error).__name__ in trace_text(caught(error))


def test_a_long_text_loses_its_middle():
    shortened = error_text(ValueError("a" * 10**7 + "end"))
    assert len(shortened) < LONGEST + 100
    assert shortened.startswith("aaa")
    assert shortened.endswith("end")
    assert len(trace_text(caught(ValueError("a" * 10**7)))) < LONGEST + 100


@given(st.text(st.characters(), max_size=20))
def test_a_stored_text_is_utf_8_and_a_valid_one_is_unchanged(value):
    stored = storable(value)
    assert stored.encode().decode() == stored
    try:
        value.encode()
    except UnicodeEncodeError:
        assert stored != value
    else:
        assert stored == value


def test_the_examples_of_the_module_hold():
    assert doctest.testmod(text).failed == 0
