"""Tests of packs of architectures other than the paper's, stitched at every cut."""

import pytest
from support.packs import cuts, model, pack, rows, stitch

from sweeper.spec.records.rows import StitchRow
from sweeper.spec.records.task import Measurement, Stitch
from sweeper.trials.networks.cut import cut_of

TOKENS = ("embed", "block1", "block2")


def stitch_rows(stitches: list[Stitch], measures: tuple[Measurement, ...] = ()) -> dict[str, StitchRow]:
    """Perform a pack and return the row of each stitch by its id; fail if a task failed."""
    row_by_task = {task: task_rows[-1] for task, task_rows in rows(pack(stitches, measures)).items()}
    for row in row_by_task.values():
        assert type(row).__name__ in ("StitchRow", "SimilarityRow"), row
    return {task: row for task, row in row_by_task.items() if isinstance(row, StitchRow)}


@pytest.mark.parametrize("arch", ["preact_resnet_cifar", "resnet_cifar", "vit", "mlp"])
def test_stitches_in_protocol_strict_have_plausible_rows(arch: str) -> None:
    """Stitch two seeds at each cut; at the last cut the penalty is small."""
    a, b = model(1, arch=arch), model(2, arch=arch)
    stitches = [stitch(a, b, cut) for cut in cuts(arch)]
    measures = tuple(Measurement(f"cka {cut}", a, cut, b, cut, "linear_cka", ()) for cut in cuts(arch))
    row_by_task = stitch_rows(stitches, measures)
    for task in stitches:
        row, shape = row_by_task[task.id], cut_of(a, task.cut_a).shape
        features = shape[-1] if len(shape) == 2 else shape[0]
        assert row.parameters == features**2 + 5 * features
        assert row.steps > 0
        assert row.steps <= 10 or cut_of(b, task.cut_b).affine_top, "the minimum of a linear probe is solved"
        assert row.direct_r2 is not None
        assert 0 < row.direct_r2 <= 1
        assert row.stop_data == "held_out"
    assert row_by_task[stitches[-1].id].penalty < 10


@pytest.mark.parametrize("stitcher", ["conv1x1", "linear"])
@pytest.mark.parametrize("cut", TOKENS)
def test_the_closed_form_of_tokens_of_a_network_and_itself_is_exact(cut: str, stitcher: str) -> None:
    network = model(2, arch="vit")
    (row,) = stitch_rows([stitch(network, network, cut, stitcher=stitcher, steps=1)]).values()
    assert row.direct_r2 == pytest.approx(1, abs=1e-4)
    assert row.direct_error == pytest.approx(row.b_error, abs=0.3)
    assert row.parameters == 32 * 33 + (128 if stitcher == "conv1x1" else 0)


def test_tokens_are_stitched_in_protocol_paper() -> None:
    """Stitch a ViT, which has no batch norms, with stitchers with and without norms."""
    a, b = model(1, arch="vit"), model(2, arch="vit")
    stitches = [
        stitch(a, b, cut, stitcher=stitcher, protocol="paper", steps=5)
        for cut in TOKENS
        for stitcher in ("conv1x1", "linear")
    ]
    row_by_task = stitch_rows(stitches)
    assert {row.steps for row in row_by_task.values()} == {5}
    assert {row.b_error for row in row_by_task.values()} == {next(iter(row_by_task.values())).b_error}


def test_cuts_of_different_depth_are_stitched_if_they_have_equally_many_tokens() -> None:
    a, b = model(1, arch="vit"), model(2, arch="vit")
    (row,) = stitch_rows([stitch(a, b, "block1", "block2", steps=5)]).values()
    assert (row.cut_a, row.cut_b, row.depth_a, row.depth_b) == ("block1", "block2", 3 / 7, 5 / 7)
