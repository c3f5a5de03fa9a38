"""Tests of the reader of job files: values, locations of keys and values, merges and aliases."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.errors import JobError
from sweeper.spec.job.source import Location, Tree, parse, parse_value

texts = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=("Cc", "Cs")), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))


@given(st.dictionaries(texts, values, min_size=1, max_size=4))
def test_json_text_is_parsed_as_yaml(mapping):
    tree, mistakes = parse(json.dumps(mapping, indent=1, ensure_ascii=False), "f")
    assert tree.plain() == mapping
    assert mistakes == []


@given(st.text(max_size=60))
def test_any_text_gives_a_mapping_or_a_job_error(text):
    try:
        tree, _ = parse(text, "f")
    except JobError:
        return
    assert isinstance(tree.value, dict)


def test_keys_and_values_have_the_location_they_were_read_from():
    tree, _ = parse("a: 1\nb:\n  c: [x,\n      'y']\n", "f")
    item, keys = tree.walk(("b", "c", 1))
    assert (item.place, item.quoted, keys) == (Location("f", 4, 7), True, ("b", "c", 1))
    sequence, _ = tree.walk(("b", "c"))
    assert (sequence.key, sequence.place) == (Location("f", 3, 3), Location("f", 3, 6))


def test_walk_skips_keys_that_the_text_does_not_have():
    tree, _ = parse("a: {b: 1}\n", "f")
    assert tree.walk(("a", "options", "b", 0, "int"))[1] == ("a", "b")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1_000", 1000),
        ("0x1f", 31),
        ("0o17", 15),
        ("010", 10),
        ("-3", -3),
        ("+.5", 0.5),
        (".inf", float("inf")),
        ("yes", "yes"),
        ("True", True),
        ("~", None),
        ("", None),
        ("2020-01-01", "2020-01-01"),
        ("'3'", "3"),
        ("[1, {a: b}]", [1, {"a": "b"}]),
    ],
)
def test_scalars_and_collections_are_parsed(text, value):
    parsed = parse_value(text, "f").plain()
    assert parsed == value
    assert type(parsed) is type(value)


def test_a_value_from_an_override_has_no_line_or_column():
    tree = parse_value("{a: [1]}", "override")
    assert tree.walk(("a", 0))[0] == Tree(1, Location("override"))


def test_a_merged_mapping_keeps_its_own_keys():
    tree, mistakes = parse("a: &a {x: 1, y: 2}\nb: &b {x: 5, z: 3}\nc: {<<: [*a, *b], y: 7}\n", "f")
    assert tree.plain()["c"] == {"x": 1, "z": 3, "y": 7}
    assert mistakes == []
    assert [mistake.problem for mistake in parse("a: {<<: 3}\n", "f")[1]] == ["only a mapping can be merged with <<"]


def test_a_few_aliases_are_accepted():
    tree, _ = parse("a: &a [1, 2]\nb: [*a, *a]\n", "f")
    assert tree.plain() == {"a": [1, 2], "b": [[1, 2], [1, 2]]}
