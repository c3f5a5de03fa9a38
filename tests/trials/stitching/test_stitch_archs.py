"""Each architecture beside the paper's own, stitched to another of its kind at every cut, from a pack to its rows."""

import pytest
from support.packs import cuts, model, pack, rows, stitch

from sweeper.spec.records.rows import StitchRow
from sweeper.spec.records.task import Measurement, Stitch
from sweeper.trials.networks.cut import cut_of

TOKENS = ("embed", "block1", "block2")


def receipts(stitches: list[Stitch], measures: tuple[Measurement, ...] = ()) -> dict[str, StitchRow]:
    """The receipt of each stitch, by its id."""
    found = {task: of[-1] for task, of in rows(pack(stitches, measures)).items()}
    for row in found.values():
        assert type(row).__name__ in ("StitchRow", "SimilarityRow"), row
    return {task: row for task, row in found.items() if isinstance(row, StitchRow)}


@pytest.mark.parametrize("arch", ["resnet_cifar", "vit", "mlp"])
def test_a_strict_pack(arch: str) -> None:
    """Two seeds, each cut: the closed form, then the best look of some steps. After the last block little is lost."""
    a, b = model(1, arch=arch), model(2, arch=arch)
    asked = [stitch(a, b, cut) for cut in cuts(arch)]
    measures = tuple(Measurement(f"cka {cut}", a, cut, b, cut, "linear_cka", ()) for cut in cuts(arch))
    found = receipts(asked, measures)
    for task in asked:
        row, shape = found[task.id], cut_of(a, task.cut_a).shape
        features = shape[-1] if len(shape) == 2 else shape[0]
        assert row.parameters == features**2 + 5 * features
        assert 0 < row.steps <= 10
        assert row.direct_r2 is not None
        assert 0 < row.direct_r2 <= 1
        assert row.stop_data == "held_out"
    assert found[asked[-1].id].penalty < 10


@pytest.mark.parametrize("stitcher", ["conv1x1", "linear"])
@pytest.mark.parametrize("cut", TOKENS)
def test_tokens_of_a_network_into_itself_are_matched_by_the_closed_form(cut: str, stitcher: str) -> None:
    same = model(2, arch="vit")
    (row,) = receipts([stitch(same, same, cut, stitcher=stitcher, steps=1)]).values()
    assert row.direct_r2 == pytest.approx(1, abs=1e-4)
    assert row.direct_error == pytest.approx(row.b_error, abs=0.3)
    assert row.parameters == 32 * 33 + (128 if stitcher == "conv1x1" else 0)


def test_tokens_are_stitched_as_the_authors_do() -> None:
    """In train mode throughout: only the stitcher's own norms have averages that move."""
    a, b = model(1, arch="vit"), model(2, arch="vit")
    asked = [
        stitch(a, b, cut, stitcher=stitcher, protocol="paper", steps=5)
        for cut in TOKENS
        for stitcher in ("conv1x1", "linear")
    ]
    found = receipts(asked)
    assert {row.steps for row in found.values()} == {5}
    assert {row.b_error for row in found.values()} == {next(iter(found.values())).b_error}


def test_cuts_of_unlike_depth_meet_where_tokens_are_as_many() -> None:
    a, b = model(1, arch="vit"), model(2, arch="vit")
    (row,) = receipts([stitch(a, b, "block1", "block2", steps=5)]).values()
    assert (row.cut_a, row.cut_b, row.depth_a, row.depth_b) == ("block1", "block2", 3 / 7, 5 / 7)
