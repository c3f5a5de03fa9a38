"""Tests of phrases in messages."""

from sweeper.spec.content.wording import count_of, printable, some_of


def test_of_many_names_the_first_are_listed():
    assert some_of(range(5)) == "0, 1, 2, 3, 4"
    assert some_of(range(7)) == "0, 1, 2, 3, 4 and 2 more"
    assert some_of([]) == ""


def test_a_number_has_its_noun_in_singular_or_plural():
    assert [count_of(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]


def test_what_a_terminal_cannot_show_becomes_an_escape():
    assert printable("k\u00e4t\udcff\n\x1b") == r"kät\xff\n\x1b"
