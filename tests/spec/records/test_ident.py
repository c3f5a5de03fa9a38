"""Tests of ids: canonical text, hash, and the golden ids of existing stores."""

import json
import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.spec.records.ident import canonical, digest, ident, idents

GOLDEN = Path(__file__).parents[2] / "golden" / "ids.json"

texts = st.text(max_size=5)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda x: st.lists(x, max_size=3) | st.dictionaries(texts, x, max_size=3), max_leaves=8)
specs = st.dictionaries(texts, values, max_size=4)


def shuffled(value, generator):
    """Return the same value with its keys in another order and lists as tuples."""
    if isinstance(value, dict):
        items = list(value.items())
        generator.shuffle(items)
        return {key: shuffled(item, generator) for key, item in items}
    if isinstance(value, list):
        return tuple(shuffled(item, generator) for item in value)
    return value


@given(specs, st.randoms())
def test_the_order_of_keys_does_not_change_the_id(spec, generator):
    assert ident("train", spec) == ident("train", shuffled(spec, generator))


@given(specs)
def test_an_id_is_32_hexadecimal_digits(spec):
    assert set(ident("stitch", spec)) <= set("0123456789abcdef")
    assert len(ident("stitch", spec)) == 32


@given(specs, specs)
def test_canonical_texts_are_equal_exactly_if_the_specs_are_equal(first, second):
    """Check that 1, 1.0, true and "1" are four different values."""

    def with_types(value):
        if isinstance(value, dict):
            return {key: with_types(item) for key, item in value.items()}
        if isinstance(value, list):
            return [with_types(item) for item in value]
        return type(value).__name__, value

    assert (canonical(first) == canonical(second)) is (with_types(first) == with_types(second))


@given(values)
def test_canonical_text_is_json_that_decodes_to_the_value(value):
    assert json.loads(canonical(value)) == value


@given(specs, st.lists(st.text(), max_size=3))
def test_idents_gives_the_same_id_as_ident(spec, inputs):
    assert idents("measure", spec)(inputs).hex() == ident("measure", spec, inputs)


def test_the_order_of_inputs_and_the_kind_change_the_id():
    assert ident("stitch", {}, ["a", "b"]) != ident("stitch", {}, ["b", "a"])
    assert ident("stitch", {}, ["a", "b"]) != ident("stitch", {}, ["ab"])
    assert len({ident(kind, {}) for kind in ("train", "stitch", "measure")}) == 3


def test_values_of_different_types_give_different_ids():
    assert len({ident("train", {"x": x}) for x in (1, 1.0, True, "1", None, [1], "")}) == 7


def test_zero_and_negative_zero_give_the_same_id():
    assert ident("train", {"x": 0.0}) == ident("train", {"x": -0.0})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [math.nan], {"x": math.inf}])
def test_a_spec_with_an_infinite_or_nan_value_has_no_id(value):
    with pytest.raises(ValueError):
        canonical({"x": value})


def test_ten_thousand_specs_have_ten_thousand_ids():
    generator = random.Random(0)
    id_by_text = {}
    for _ in range(10_000):
        spec = {
            "arch": generator.choice(["resnet18k", "myrtle"]),
            "options": {"width": generator.randint(1, 128)},
            "seed": generator.randrange(2**31),
            "lr": generator.random(),
            "samples": generator.choice([100, 1000]),
        }
        id_by_text[canonical(spec)] = ident("train", spec)
    assert len(set(id_by_text.values())) == len(id_by_text) > 9_990


def test_golden_ids_are_unchanged():
    """Compare with ids of existing stores, which must not change while the kernels' versions stay the same."""
    for case in json.loads(GOLDEN.read_text()):
        assert ident(case["kind"], case["spec"], case["inputs"]) == case["id"], case["spec"]


def test_digest_is_sha256_of_bytes_or_a_memoryview():
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest(memoryview(b"abc")) == digest(b"abc")
