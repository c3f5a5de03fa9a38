"""Tests of the images that networks take: the key `input`, and the ids and shapes that follow from it."""

from pathlib import Path
from typing import Any

import pytest

from sweeper.errors import JobError
from sweeper.plan.plan import Plan
from sweeper.spec.job.load import load
from sweeper.spec.records.task import NetworkInput, TrainingRun

JOB = "name: inputs\ndataset: digits\nmodels:\n  m: {{arch: resnet18k, width: 2, steps: 2{}}}\n"
GREY = ", input: {mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2]}"


def runs(tmp_path: Path, settings: str) -> list[TrainingRun]:
    (tmp_path / "job.yaml").write_text(JOB.format(settings))
    return [model.training for model in Plan.of(load(tmp_path / "job.yaml")).models]


@pytest.mark.parametrize(
    ("settings", "expected", "image"),
    [
        ("", None, (1, 8, 8)),
        (", input: {size: 16}", NetworkInput((16, 16), (), (), "bilinear"), (1, 16, 16)),
        (", input: {size: [16]}", NetworkInput((16, 16), (), (), "bilinear"), (1, 16, 16)),
        (", input: {size: [16, 8], interpolation: bicubic}", NetworkInput((16, 8), (), (), "bicubic"), (1, 16, 8)),
        (", input: {mean: 0.5, std: 2}", NetworkInput((8, 8), (0.5,), (2.0,), "bilinear"), (1, 8, 8)),
        (GREY, NetworkInput((8, 8), (0.5,) * 3, (0.2,) * 3, "bilinear"), (3, 8, 8)),
        (", input: {mean: 0.5, std: [1, 2, 3]}", NetworkInput((8, 8), (0.5,) * 3, (1, 2, 3), "bilinear"), (3, 8, 8)),
    ],
)
def test_an_input_is_resolved_with_its_shape(tmp_path: Path, settings: str, expected: Any, image: Any) -> None:
    (run,) = runs(tmp_path, settings)
    assert (run.input, run.image) == (expected, image)


def test_an_input_without_effect_enters_no_id(tmp_path: Path) -> None:
    (plain,) = runs(tmp_path, "")
    for settings in (", input: {}", ", input: {size: 8}", ", input: {size: 8, interpolation: bicubic}"):
        assert [run.id for run in runs(tmp_path, settings)] == [plain.id]
    axis = ", input: [{}, {size: 16}, {size: 16, interpolation: bicubic}, {mean: 0.5, std: 1}], steps: [0, 2]"
    several = runs(tmp_path, axis.replace(", steps: [0, 2]", ""))
    assert len({run.id for run in several}) == 4
    assert plain.id in {run.id for run in several}


def test_an_untrained_network_has_its_own_images(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(JOB.format(", input: [{}, {size: 16}]").replace("steps: 2", "steps: 0"))
    assert len({model.id for model in Plan.of(load(tmp_path / "job.yaml")).models}) == 2


def test_cuts_have_the_shapes_of_the_networks_own_images(tmp_path: Path) -> None:
    models = "a: {arch: resnet18k, width: 2, steps: 0}\n  b: {arch: resnet18k, width: 2, steps: 0, input: {size: 16}}"
    stitch = "stitch: [{bottom: b, top: a, layers: all, top_layers: all, stitcher: conv1x1}]\n"
    (tmp_path / "job.yaml").write_text(f"name: two\nmodels:\n  {models}\n{stitch}")
    plan = Plan.of(load(tmp_path / "job.yaml"))
    shapes = [[cut.shape for cut in plan.catalog.cuts_of(model.training)] for model in plan.models]
    assert sorted(shape[0] for shape in shapes) == [(2, 8, 8), (2, 16, 16)]
    joined = {(stitch.cut_a, stitch.cut_b) for stitch in plan.tasks(range(len(plan.graph.rows)))}
    assert ("conv1", "conv1") not in joined


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("input: {sise: 16}", "unknown key; did you mean 'size'?"),
        ("input: {size: 0}", "models.m.input.size: 0 is out of range; it must be at least 1"),
        ("input: {size: [1, 2, 3]}", "models.m.input.size: the list has more than 2 values"),
        ("input: big", "'big' is not a mapping or 'weights'"),
        ("input: weights", "the family has no weights that could describe their images; give numbers: {size: 224"),
        ("input: {mean: 0.5}", "mean is given without std"),
        ("input: {std: 0.5}", "std is given without mean"),
        ("input: {mean: [1, 2, 3], std: [1, 2]}", "mean has 3 values, and std has 2"),
        ("head: probe, steps: 0", "a probe is trained, and steps are 0; give steps or epochs"),
        ("head: probe, objective: simclr, epochs: 1", "a probe trains on labels, and the objective is simclr"),
        ("reset: head", "reset needs initial weights, and none are given"),
    ],
)
def test_mistakes_in_input_and_head_are_named(tmp_path: Path, settings: str, message: str) -> None:
    length = "" if "steps" in settings or "epochs" in settings else ", steps: 2"
    (tmp_path / "job.yaml").write_text(f"name: x\nmodels:\n  m: {{arch: resnet18k, width: 2, {settings}{length}}}\n")
    with pytest.raises(JobError) as caught:
        load(tmp_path / "job.yaml")
    (mistake,) = map(str, caught.value.mistakes)
    assert message in mistake


def test_colour_images_are_not_given_to_a_network_of_other_channels(tmp_path: Path) -> None:
    job = JOB.format(", input: {mean: [1, 1], std: 1}").replace("digits", "cifar10")
    (tmp_path / "job.yaml").write_text(job)
    with pytest.raises(JobError, match="the images have 3 channels, and mean and std are given for 2"):
        load(tmp_path / "job.yaml")
