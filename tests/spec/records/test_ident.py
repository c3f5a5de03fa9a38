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


def shuffled(value, chance):
    """Return the same value with its keys in another order and lists as tuples."""
    if isinstance(value, dict):
        items = list(value.items())
        chance.shuffle(items)
        return {key: shuffled(item, chance) for key, item in items}
    if isinstance(value, list):
        return tuple(shuffled(item, chance) for item in value)
    return value


@given(specs, st.randoms())
def test_the_order_of_keys_does_not_change_the_id(spec, chance):
    assert ident("train", spec) == ident("train", shuffled(spec, chance))


@given(specs)
def test_an_id_is_32_hexadecimal_digits(spec):
    assert set(ident("stitch", spec)) <= set("0123456789abcdef")
    assert len(ident("stitch", spec)) == 32


@given(specs, specs)
def test_one_text_is_one_spec(first, second):
    """Check that 1, 1.0, true and "1" are four different values."""

    def typed(value):
        if isinstance(value, dict):
            return {key: typed(item) for key, item in value.items()}
        if isinstance(value, list):
            return [typed(item) for item in value]
        return type(value).__name__, value

    assert (canonical(first) == canonical(second)) is (typed(first) == typed(second))


@given(values)
def test_the_text_is_json_and_loses_nothing(value):
    assert json.loads(canonical(value)) == value


@given(specs, st.lists(st.text(), max_size=3))
def test_many_ids_of_one_spec(spec, inputs):
    assert idents("measure", spec)(inputs).hex() == ident("measure", spec, inputs)


def test_inputs_count_in_their_order():
    assert ident("stitch", {}, ["a", "b"]) != ident("stitch", {}, ["b", "a"])
    assert ident("stitch", {}, ["a", "b"]) != ident("stitch", {}, ["ab"])
    assert len({ident(kind, {}) for kind in ("train", "stitch", "measure")}) == 3


def test_types_count():
    assert len({ident("train", {"x": x}) for x in (1, 1.0, True, "1", None, [1], "")}) == 7


def test_two_spellings_of_nothing():
    assert ident("train", {"x": 0.0}) == ident("train", {"x": -0.0})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [math.nan], {"x": math.inf}])
def test_a_spec_with_an_infinite_or_nan_value_has_no_id(value):
    with pytest.raises(ValueError):
        canonical({"x": value})


def test_ten_thousand_specs_have_ten_thousand_ids():
    chance = random.Random(0)
    found = {}
    for _ in range(10_000):
        spec = {
            "arch": chance.choice(["resnet18k", "myrtle"]),
            "options": {"width": chance.randint(1, 128)},
            "seed": chance.randrange(2**31),
            "lr": chance.random(),
            "samples": chance.choice([100, 1000]),
        }
        found[canonical(spec)] = ident("train", spec)
    assert len(set(found.values())) == len(found) > 9_990


def test_golden_ids():
    """Existing stores contain these ids, so they must not change while the kernels' versions stay the same."""
    for case in json.loads(GOLDEN.read_text()):
        assert ident(case["kind"], case["spec"], case["inputs"]) == case["id"], case["spec"]


def test_a_digest_of_bytes():
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest(memoryview(b"abc")) == digest(b"abc")
