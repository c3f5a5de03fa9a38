"""Tests of stitches whose results are known in advance, independently of the data."""

import pytest
import torch
from safetensors.torch import load, save
from support.packs import WEIGHTS, cuts, model, pack, put, rows, stitch, weights

from sweeper.spec.cards.archs import ARCHS
from sweeper.spec.records.rows import StitchRow
from sweeper.spec.records.task import Measurement, Model, Stitch, StitchPack
from sweeper.trials.similarity.measures.activation import Activation
from sweeper.trials.similarity.measures.cka import linear_cka
from sweeper.trials.similarity.measures.pair import Pair

B = model(2)


def stitch_rows(stitches: list[Stitch]) -> dict[str, StitchRow]:
    """Perform stitches in one pack and return the row of each by A's cut; fail if one failed."""
    row_by_cut = {}
    for task_rows in rows(pack(stitches)).values():
        row = task_rows[-1]
        assert isinstance(row, StitchRow), row
        row_by_cut[row.cut_a] = row
    return row_by_cut


@pytest.mark.parametrize("arch", ARCHS)
def test_a_network_stitched_to_itself_by_the_identity_has_penalty_0(arch: str) -> None:
    network = model(2, arch=arch)
    row_by_cut = stitch_rows([stitch(network, network, cut, stitcher="identity") for cut in cuts(arch)])
    assert set(row_by_cut) == set(cuts(arch))
    for row in row_by_cut.values():
        assert (row.penalty, row.gain) == (0.0, 0.0)
        assert row.test_loss == row.b_loss == row.a_loss
        assert row.steps == row.parameters == 0


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_the_closed_form_of_a_network_and_itself_is_exact(protocol: str) -> None:
    for row in stitch_rows([stitch(B, B, cut, protocol=protocol, steps=1) for cut in cuts()]).values():
        assert row.direct_r2 == pytest.approx(1, abs=1e-4)
        assert row.direct_error == pytest.approx(row.b_error, abs=0.3)


def permuted_pack(model: Model, seed: int) -> StitchPack:
    """Return a pack of stitches from a permuted copy of a model to the model.

    The copy has the channels of its first stage in another order. It computes the same function; its activations at
    conv1, block1 and block2 are permuted.
    """
    state = load(WEIGHTS[weights(model)])
    order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
    writing_weights = ["conv1.weight", "block1.residual.3.weight", "block2.residual.3.weight"]
    norms = [f"block{n}.enter.0.{x}" for n in (1, 2, 3) for x in ("weight", "bias", "running_mean", "running_var")]
    reading_weights = [f"block{n}.residual.0.weight" for n in (1, 2, 3)]
    state |= {f"stages.{name}": state[f"stages.{name}"][order] for name in writing_weights + norms}
    names = [name for name in state if name.startswith("stages.block3.shortcut") and name.endswith("weight")]
    for name in [*(f"stages.{name}" for name in reading_weights), *names]:
        state[name] = state[name][:, order]
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    bottom = Model("permuted", model.training, model.step)
    stitches = tuple(stitch(bottom, model, cut, steps=0) for cut in ("conv1", "block1", "block2"))
    return StitchPack("pack", bottom, stitches, (), 1.0, {model.id: weights(model), bottom.id: put(save(state))})


def test_the_closed_form_undoes_a_permutation_of_channels() -> None:
    for task_rows in rows(permuted_pack(B, seed=1)).values():
        row = task_rows[-1]
        assert isinstance(row, StitchRow), row
        assert row.a_error == row.b_error  # the copy computes the same function
        assert row.direct_r2 == pytest.approx(1, abs=1e-4)
        assert row.penalty == pytest.approx(0, abs=0.3)
        assert row.direct_error == pytest.approx(row.b_error, abs=0.3)


def test_permuted_channels_without_a_stitcher_have_a_large_penalty() -> None:
    """Stitch the permuted copy by the identity, as a control of the test of the closed form."""
    permuted = permuted_pack(B, seed=1)
    bottom = permuted.a
    task = stitch(bottom, B, "block2", stitcher="identity")
    row = rows(StitchPack("pack", bottom, (task,), (), 1.0, permuted.weights))[task.id][-1]
    assert isinstance(row, StitchRow)
    assert row.penalty > 5


def test_the_penalty_of_a_random_bottom_grows_with_depth() -> None:
    random = model(30, steps=0)
    row_by_cut = stitch_rows([stitch(random, B, cut, steps=50) for cut in ("conv1", "block8")])
    assert row_by_cut["block8"].penalty > row_by_cut["conv1"].penalty + 5


def test_the_cka_of_a_network_and_its_rotated_copy_is_1() -> None:
    x = torch.randn(200, 32, generator=torch.Generator().manual_seed(0))
    rotation = torch.linalg.qr(torch.randn(32, 32, generator=torch.Generator().manual_seed(1))).Q
    assert linear_cka(Pair(Activation(x), Activation(x @ rotation))) == pytest.approx(1, abs=1e-5)
    same = Measurement("same", B, "block4", B, "block4", "linear_cka", ())
    assert rows(pack([], [same]))["same"][-1].value == pytest.approx(1, abs=1e-5)  # type: ignore[attr-defined]
