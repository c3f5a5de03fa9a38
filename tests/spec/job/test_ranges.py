"""Tests of ranges such as `0..9`: in a file, in an override, beside other values; wrong ones are explained."""

from pathlib import Path

import pytest

from sweeper.errors import JobError
from sweeper.spec.job.family import Family
from sweeper.spec.job.load import load

JOB = """name: x
models:
  m:
    arch: mlp
    steps: 1
    seed: {seed}
stitch:
  - {{bottom: m, top: m}}
"""


def seeds(tmp_path: Path, seed: str = "0", *overrides: str) -> tuple[int, ...]:
    path = tmp_path / "job.yaml"
    path.write_text(JOB.format(seed=seed))
    return load(path, overrides).models["m"].seed


def mistakes(tmp_path: Path, seed: str = "0", *overrides: str) -> str:
    with pytest.raises(JobError) as caught:
        seeds(tmp_path, seed, *overrides)
    return str(caught.value)


@pytest.mark.parametrize("text", ["0..3", '"0..3"', "[0..3]", "[0..1, 2, 3]", "[0, '1..2', 3..3]"])
def test_a_range_stands_for_its_numbers_in_a_file_and_in_an_override(tmp_path, text):
    assert seeds(tmp_path, text) == (0, 1, 2, 3)
    assert seeds(tmp_path, "9", f"models.m.seed={text}") == (0, 1, 2, 3)


def test_an_override_lists_ranges_and_numbers_without_brackets(tmp_path):
    assert seeds(tmp_path, "0", "models.m.seed=0..2,7,9..10") == (0, 1, 2, 7, 9, 10)


def test_ranges_are_read_in_the_python_api_and_in_settings_of_cards():
    family = Family.model_validate({"arch": "mlp", "steps": "1..2", "seed": ["0..1", 5], "width": "4..6"})
    assert (family.steps, family.seed, family.options["width"]) == ((1, 2), (0, 1, 5), (4, 5, 6))


def test_cuts_and_groups_of_labels_may_be_ranges(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(JOB.format(seed="0"))
    overrides = ["stitch.0.layers=1..2", "models.m.labels=[[0..4], [5..8, 9]]"]
    sweep = load(path, overrides)
    assert sweep.stitch[0].layers == (1, 2)
    assert sweep.models["m"].labels == (((0, 1, 2, 3, 4), (5, 6, 7, 8, 9)),)


@pytest.mark.parametrize(
    ("text", "explanation"),
    [
        ("9..0", "a range begins with its smaller number: 0..9"),
        ("0..999999999", "a range has at most 100000 numbers, and this one has 1000000000"),
        ("0..1000000000", "a range has at most 100000 numbers, and this one has 1000000001"),
        ("0...9", "a range is two whole numbers"),
        ("0-9", "a range is two whole numbers"),
        ("-3..3", "a range is two whole numbers"),
        ("0..9..2", "a range is two whole numbers"),
        ("0.5..2", "a range is two whole numbers"),
        ("range(10)", "0..9 for a range"),
        ("'*'", "0..9 for a range"),
        ("all", "0..9 for a range"),
    ],
)
def test_a_wrong_range_is_explained_in_a_file_and_in_an_override(tmp_path, text, explanation):
    assert f"job.yaml:6:11 models.m.seed: {text if text[0] == chr(39) else repr(text)}" in mistakes(tmp_path, text)
    assert explanation in mistakes(tmp_path, text)
    assert explanation in mistakes(tmp_path, "0", f"models.m.seed={text}")
    assert explanation in mistakes(tmp_path, "0", f"models.m.seed=3,{text}")
    assert explanation in mistakes(tmp_path, "0", f"models.m.width={text}")


def test_a_mistake_after_a_range_is_at_its_own_place(tmp_path):
    assert "job.yaml:6:18 models.m.seed" in mistakes(tmp_path, "[0..3, x, 5]")
    assert "'x' is not a whole number" in mistakes(tmp_path, "[0..3, x, 5]")


def test_an_unquoted_star_is_explained(tmp_path):
    assert "job.yaml:6:12" in mistakes(tmp_path, "*")
    assert "write '*' in quotes" in mistakes(tmp_path, "*")
    assert "0..9 for a range" in mistakes(tmp_path, "0", "models.m.seed=*")


def test_a_number_in_quotes_is_told_to_drop_them(tmp_path):
    assert "leave out the quotes" in mistakes(tmp_path, "'3'")
