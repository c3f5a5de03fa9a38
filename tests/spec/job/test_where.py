"""Tests of the language of `where` conditions: values, mistakes with their columns, and refused expressions."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.spec.cards.datasets import DIGITS
from sweeper.spec.job.where import ATTRIBUTES, Where, WhereError
from sweeper.spec.records.task import Data, Model, TrainingRun

DATA = Data("digits", DIGITS.digest, 1347, 450, 10, (1, 8, 8), 147)
TRAINING = TrainingRun(
    id="t0",
    data=DATA,
    arch="resnet18k",
    options=(("width", 16),),
    seed=1,
    steps=200,
    samples=100,
    nested=True,
    label_noise=0.1,
    batch=50,
    lr=0.05,
    momentum=0.9,
    weight_decay=1e-4,
    schedule="step",
    augment="none",
)
A = Model("m0", TRAINING, 100)
B = Model("m1", dataclasses.replace(TRAINING, id="t1", seed=2, samples=400, options=(("width", 8),)), 200)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("a.seed != b.seed", True),
        ("a.seed == b.seed", False),
        ("a.samples > b.samples", False),
        ("a.samples < b.samples and a.width == 16", True),
        ("a.width in [4, 16] or b.width in (4, 16)", True),
        ("not a.seed in [1]", False),
        ("a.seed not in {2, b.seed}", True),
        ("1 < b.samples / a.samples <= 4", True),
        ("1 < b.samples / a.samples < 4", False),
        ("a.samples + 300 == b.samples and b.samples - 300 == a.samples", True),
        ("a.width == 2 * b.width", True),
        ("a.seed - b.seed == -1", True),
        ("a.family == 'weak' and b.family != \"weak\"", True),
        ("a.training != b.training and a.id != b.id", True),
        ("a.steps == 100 and a.schedule_steps == 200", True),
        ("a.epochs == 50", True),
        ("a.nested", True),
        ("not a.nested or a.nested == False", False),
        ("a.arch == 'resnet18k' and a.schedule in ['step'] and a.augment == 'none'", True),
        ("a.lr == 5e-2 and a.momentum < 1 and a.weight_decay > 0 and a.label_noise == 0.1 and a.batch == 50", True),
        ("  a.seed == 1  ", True),
    ],
)
def test_a_condition_holds_or_not_for_a_pair(text, holds):
    assert Where(text)(A, B, "weak", "strong") is holds


def test_every_attribute_has_a_value_for_a_trained_model():
    values = Where.values(A, "weak")
    assert set(ATTRIBUTES) == set(values)
    for name in ATTRIBUTES:
        assert Where(f"a.{name} == b.{name}")(A, A, "weak", "weak") is (values[name] is not None)


def test_a_comparison_with_an_undefined_attribute_is_false():
    untrained = Model("m2", dataclasses.replace(TRAINING, options=(), samples=0), 0)
    for text in ("a.width < 3", "a.width > 3", "a.width == a.width", "a.seed / a.samples > 0", "-a.width < 0"):
        assert Where(text)(untrained, B, "x", "y") is False
    assert Where("not a.width < 3")(untrained, B, "x", "y") is True


@given(
    st.integers(-5, 5), st.integers(-5, 5), st.sampled_from(["+", "-", "*"]), st.sampled_from(["<", "<=", "==", "!="])
)
def test_arithmetic_agrees_with_python(x, y, op, compare):
    model = Model("m", dataclasses.replace(TRAINING, seed=x, batch=y), 1)
    expected = eval(f"{x} {op} {y} {compare} {x}")
    assert Where(f"a.seed {op} b.batch {compare} a.seed")(model, model, "", "") is expected


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("a.sed == 1", 0, "no attribute 'a.sed'"),
        ("a.seed == b.sed", 10, "no attribute 'b.sed'"),
        ("'ü' == b.sed", 7, "no attribute 'b.sed'"),
        ("a.seed = 1", 7, "not a condition"),
        ("a.seed == ", 0, "not a condition"),
        ("", 0, "not a condition"),
        ("a.seed", 0, "must compare something"),
        ("3", 0, "must compare something"),
        ("a.seed == 'x'", 10, "a number is compared with a text"),
        ("a.arch < 3", 9, "a text is compared with a number"),
        ("a.arch + 1 == 3", 0, "a number is needed here"),
        ("a.seed in b.seed", 10, "'in' takes a list"),
        ("a.seed in ['x']", 11, "a number is needed here"),
        ("a.seed is 3", 10, "compare with =="),
        ("a.seed and True", 0, "a condition is needed here"),
        ("a.seed == 1\nand True", 0, "one line"),
        ("a.seed == 1 " * 500, 0, "longer than"),
        ("(" * 900 + "1" + ")" * 900, 200, "not a condition"),
    ],
)
def test_mistakes_have_a_message_and_a_column(text, position, message):
    with pytest.raises(WhereError) as error:
        Where(text)
    assert message in error.value.problem
    if error.value.position or position:
        assert (
            abs(error.value.position - position) <= 1
        )  # Python's parser reports the wrong character or the one after it


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true') == 0",
        "a.__class__ == 1",
        "a.seed.real == 1",
        "().__class__ == 1",
        "[x for x in (1, 2)] == 1",
        "(lambda: 1)() == 1",
        "a.seed ** 99999999 == 1",
        "a.seed << 9999999999 == 1",
        "f'{a.seed}' == '1'",
        "c.seed == 1",
        "a == b",
        "(y := 3) == 3",
        "a.seed if a.seed else 1",
        "print == 1",
        "b'x' == 'x'",
        "1j == 1",
        "None == 1",
        "a.seed == ...",
        "await a.seed",
    ],
)
def test_other_expressions_of_python_are_refused(text):
    with pytest.raises(WhereError):
        Where(text)


def test_a_misspelled_attribute_gets_a_suggestion():
    with pytest.raises(WhereError, match=r"did you mean 'b\.samples'\?"):
        Where("a.samples > b.sample")


@given(st.text(alphabet="ab.seedwidth01<>=!+-*/()[]' ,andornti", max_size=40))
def test_any_text_gives_a_condition_or_a_where_error(text):
    try:
        where = Where(text)
    except WhereError:
        return
    assert where(A, B, "weak", "strong") in (True, False)
