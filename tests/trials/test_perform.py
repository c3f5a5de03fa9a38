"""A pack in, rows out: every task ends, none takes another down, and packs don't move results."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from support.packs import WEIGHTS, cuts, model, pack, rows, stitch, weights

from sweeper.spec.records.rows import CurveRow, FailureRow, ModelRow, Row, SimilarityRow, StitchRow
from sweeper.spec.records.task import Measurement, StitchPack, TrainPack
from sweeper.trials import perform
from sweeper.trials.networks import activation_batches
from sweeper.trials.networks.activations import activations
from sweeper.trials.perform import Outcome
from sweeper.trials.similarity import activation_cache, compare
from sweeper.trials.similarity.measures.activation import Activation
from sweeper.trials.similarity.measures.evaluate import similarity
from sweeper.trials.similarity.measures.pair import Pair
from sweeper.trials.stitching import bottom_feeds, protocol_strict, stitch_group

A, B, C = model(1), model(2, samples=100), model(3, samples=300)


def receipt(of: Sequence[Row]) -> StitchRow:
    assert isinstance(of[-1], StitchRow), of[-1]
    return of[-1]


def test_a_training_run_gives_its_snapshots() -> None:
    last = model(7, steps=20)
    first = dataclasses.replace(last, id="first", step=5)
    outcomes = list(perform.perform(TrainPack("p", last.training, (first, last), 1.0), WEIGHTS.__getitem__))
    receipts = [outcome.rows[-1] for outcome in outcomes]
    assert [(row.task, row.steps, row.schedule_steps) for row in receipts if isinstance(row, ModelRow)] == [
        ("first", 5, 20),
        (last.id, 20, 20),
    ]
    assert all(isinstance(row, CurveRow) for outcome in outcomes for row in outcome.rows[:-1])
    assert all(outcome.weights for outcome in outcomes)


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_a_stitch_row_is_whole(protocol: str) -> None:
    asked = stitch(A, B, "block4", protocol=protocol)
    (found,) = rows(pack([asked])).values()
    row = receipt(found)
    assert (row.task, row.a, row.b, row.protocol) == (asked.id, A.id, B.id, protocol)
    assert (row.a_weights, row.b_weights) == (weights(A), weights(B))
    assert row.penalty == row.test_error - row.b_error == -row.gain
    assert row.steps <= row.max_steps == 10
    assert row.seconds > 0
    assert row.peak_memory > 0
    assert row.direct_error is not None
    assert row.direct_r2 is not None
    assert row.direct_r2 <= 1
    right = np.unpackbits(np.frombuffer(row.correct, np.uint8))[:450]
    assert row.test_error == pytest.approx(100 * (450 - right.sum()) / 450)
    assert row.stop_data == ("held_out" if protocol == "strict" else "none")
    assert all(isinstance(point, CurveRow) and point.task == asked.id for point in found[:-1])


def test_own_errors_are_those_of_the_models_rows() -> None:
    """The very weights, scored again by the pack, give what training put on record."""
    row = receipt(rows(pack([stitch(A, B, "pool")]))[stitch(A, B, "pool").id])
    (outcome,) = perform.perform(TrainPack("p", B.training, (B,), 1.0), WEIGHTS.__getitem__)
    own = outcome.rows[-1]
    assert isinstance(own, ModelRow)
    assert (row.b_error, row.b_weights) == (own.test_error, own.weights)
    assert row.b_loss == pytest.approx(own.test_loss, rel=1e-5)


def test_a_task_that_raises_costs_no_other() -> None:
    good, bad_cut = stitch(A, B, "block8"), stitch(A, B, "block8", "nowhere")
    misfit, measure = stitch(A, B, "block2", "block8"), Measurement("cka", A, "pool", B, "nowhere", "linear_cka", ())
    found = rows(pack([bad_cut, good, misfit], [measure]))
    assert isinstance(found[good.id][-1], StitchRow)
    failures = {task: of[-1] for task, of in found.items() if isinstance(of[-1], FailureRow)}
    assert set(failures) == {bad_cut.id, misfit.id, "cka"}
    assert "nowhere" in failures[bad_cut.id].message
    assert "nowhere" in failures["cka"].message
    assert failures["cka"].of == "similarities"
    assert failures[misfit.id].of == "stitches"
    assert "Traceback" in failures[misfit.id].traceback


def test_one_stitch_that_breaks_in_training_leaves_its_neighbours_at_the_same_top(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stitches that share a top run as one batch: where that raises they are tried alone."""
    good, bad = stitch(A, B, "block8"), stitch(A, B, "block8", seed=0, lr=0.5)
    build = stitch_group.Group._build_stitched

    def broken(group: stitch_group.Group, asked: stitch_group.Stitch) -> stitch_group.StitchedNetwork:
        stitched = build(group, asked)
        if asked.id == bad.id:
            stitched.stitcher.register_forward_hook(lambda *_: 1 / 0)
        return stitched

    alone = receipt(rows(pack([good]))[good.id])
    monkeypatch.setattr(stitch_group.Group, "_build_stitched", broken)
    found = rows(pack([bad, good]))
    failure = found[bad.id][-1]
    assert isinstance(failure, FailureRow)
    assert failure.error == "ZeroDivisionError"
    assert receipt(found[good.id]).test_loss == pytest.approx(alone.test_loss, abs=1e-4)


def test_a_receiver_that_cannot_be_loaded_fails_its_own_tasks() -> None:
    good, lost = stitch(A, B, "pool"), stitch(A, C, "pool")
    asked = pack([good, lost])
    asked = dataclasses.replace(asked, weights={**asked.weights, C.id: "gone"})
    found = rows(asked)
    assert isinstance(found[good.id][-1], StitchRow)
    assert isinstance(found[lost.id][-1], FailureRow)


def test_a_sender_that_cannot_be_loaded_fails_them_all() -> None:
    measure = Measurement("cka", A, "pool", B, "pool", "linear_cka", ())
    asked = dataclasses.replace(pack([stitch(A, B, "pool")], [measure]), weights={A.id: "gone", B.id: weights(B)})
    kinds = [of[-1].of for of in rows(asked).values() if isinstance(of[-1], FailureRow)]
    assert kinds == ["stitches", "similarities"]


def test_measures_are_on_record() -> None:
    same = Measurement("same", A, "block4", A, "block4", "linear_cka", (("debiased", True),))
    other = Measurement("other", A, "block4", B, "block4", "linear_cka", ())
    found = {task: of[-1] for task, of in rows(pack([], [same, other])).items()}
    assert all(isinstance(row, SimilarityRow) and row.samples == 450 for row in found.values())
    values = {task: row.value for task, row in found.items() if isinstance(row, SimilarityRow)}
    assert values["same"] == pytest.approx(1, abs=1e-5)
    assert 0 < values["other"] < 1


MEASURED = [
    Measurement(f"{cut_a} {b.id} {cut_b} {name}", A, cut_a, b, cut_b, name, options)
    for cut_a, cut_b in (("block4", "block4"), ("block4", "block6"), ("pool", "pool"))
    for b in (A, B, C)
    for name, options in (("linear_cka", (("debiased", False),)), ("procrustes", (("maps", "flat"),)))
]
MEASURED.append(Measurement("agree", A, "output", B, "output", "output_agreement", ()))  # fmt: skip


def test_one_pass_of_each_network_serves_all_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: Counter[int] = Counter()

    def counted(network: perform.torch.nn.Module, *given: Any) -> Any:
        passes[id(network)] += 1
        return activations(network, *given)

    monkeypatch.setattr(activation_cache, "activations", counted)
    found = rows(pack([], MEASURED))
    assert all(isinstance(of[-1], SimilarityRow) for of in found.values())
    assert list(passes.values()) == [1, 1, 1]  # the test images are one chunk


@pytest.mark.parametrize("budget", [0, 4 * 450 * 70, 4 * 450 * 600])
def test_what_of_the_activations_is_kept_does_not_move_similarities(
    budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {task: values(of) for task, of in rows(pack([], MEASURED)).items()}
    monkeypatch.setattr(compare, "ACTIVATION_BUDGET", budget)
    assert {task: values(of) for task, of in rows(pack([], MEASURED)).items()} == before
    alone = {measure.id: values(rows(pack([], [measure]))[measure.id]) for measure in MEASURED}
    assert alone == pytest.approx(before, abs=1e-12)


def values(of: Sequence[Row]) -> float:
    assert isinstance(of[-1], SimilarityRow), of[-1]
    return of[-1].value


def test_outputs_are_compared_as_the_networks_rows_say() -> None:
    asked = [Measurement(name, A, "output", B, "output", name, ()) for name in ("output_agreement", "output_kappa")]
    found = rows(pack([stitch(A, B, "pool")], asked))
    row = found["output_agreement"][-1]
    assert isinstance(row, SimilarityRow)
    assert (row.cut_a, row.depth_a, row.depth_b, row.position_b) == ("output", 1, 1, 12)
    errors = receipt(found[stitch(A, B, "pool").id])
    assert 1 - (errors.a_error + errors.b_error) / 100 <= row.value < 1  # at most where neither errs alike
    assert 0 < values(found["output_kappa"]) < row.value


def test_a_null_takes_the_measure_with_images_out_of_place() -> None:
    """Recomputed by hand from the two activations and the permutations."""
    names = {"linear_cka": (("debiased", True),), "mutual_knn": (("distance", "cosine"), ("k", 10))}
    asked = [Measurement(name, A, "block6", B, "block6", name, options, null=3) for name, options in names.items()]
    found = {task: of[-1] for task, of in rows(pack([], [*asked, MEASURED[0]])).items()}
    x, y = (activation_of(network, "block6") for network in (A, B))
    for task, options in names.items():
        row = found[task]
        assert isinstance(row, SimilarityRow)
        orders = [compare.null_order(draw, 450, y.device) for draw in range(3)]
        by_hand = [similarity(Pair(Activation(x), Activation(y[order])), task, dict(options)) for order in orders]
        assert row.null_permutations == 3
        assert row.null_mean == pytest.approx(np.mean(by_hand), abs=1e-6)
        assert row.null_std == pytest.approx(np.std(by_hand, ddof=1), abs=1e-6)
        assert np.mean(by_hand) < 0.1 < row.value
    plain = found[MEASURED[0].id]
    assert isinstance(plain, SimilarityRow)
    assert (plain.null_permutations, plain.null_mean, plain.null_std) == (None, None, None)


def activation_of(network: perform.Model, cut: str) -> perform.torch.Tensor:
    work = perform._StitchPackRun(pack([stitch(A, network, "pool")]), WEIGHTS.__getitem__, perform.torch.device("cpu"))
    work._images = perform._images_of(A.training.data, work._device)
    ((images, _),) = work._images.test_batches()
    return activations(work._network(network).folded, images, [cut])[cut]


def test_a_measure_that_raises_costs_no_other() -> None:
    knn = Measurement("too many", A, "pool", B, "pool", "mutual_knn", (("distance", "cosine"), ("k", 450)), null=2)
    misfit = Measurement("misfit", A, "block2", B, "block8", "svcca", (("maps", "pixels"), ("variance", 0.99)))
    fine = Measurement("fine", A, "pool", B, "pool", "linear_cka", (("debiased", False),), null=2)
    found = {task: of[-1] for task, of in rows(pack([], [knn, misfit, fine])).items()}
    failures = {task: row.message for task, row in found.items() if isinstance(row, FailureRow)}
    assert "450 neighbours" in failures["too many"]
    assert "maps of equal size" in failures["misfit"]
    assert isinstance(found["fine"], SimilarityRow)
    assert found["fine"].null_permutations == 2


# --- independence ---------------------------------------------------------------------------------------------------


def company(asked: stitch_group.Stitch) -> StitchPack:
    """The same stitch among others: other cuts, other tops, its own top again, another stream."""
    recipe = asked.recipe
    others = [
        stitch(A, B, "block2", protocol=recipe.protocol, steps=recipe.steps),
        stitch(A, C, asked.cut_a, protocol=recipe.protocol, steps=recipe.steps),
        stitch(A, B, "block6", protocol=recipe.protocol, steps=recipe.steps, seed=9),
        stitch(A, B, asked.cut_a, protocol=recipe.protocol, steps=recipe.steps, lr=0.02),
    ]
    return pack([*others[:2], asked, *others[2:]], [Measurement("cka", A, "pool", B, "pool", "linear_cka", ())])


@pytest.mark.parametrize("protocol", ["strict", "paper"])
@pytest.mark.parametrize("cut", ["conv1", "block6"])
def test_company_does_not_move_the_first_step(protocol: str, cut: str) -> None:
    asked = stitch(A, B, cut, protocol=protocol, steps=1)
    alone, among = (receipt(rows(of)[asked.id]) for of in (pack([asked]), company(asked)))
    assert among.test_loss == pytest.approx(alone.test_loss, abs=1e-5)
    assert among.train_loss == pytest.approx(alone.train_loss, abs=1e-5)


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_company_does_not_move_the_end(protocol: str) -> None:
    asked = stitch(A, B, "block4", protocol=protocol, steps=40)
    alone, among = (receipt(rows(of)[asked.id]) for of in (pack([asked]), company(asked)))
    assert among.test_error == pytest.approx(alone.test_error, abs=0.5)


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_the_same_pack_again_gives_the_same_bits(protocol: str) -> None:
    asked = stitch(A, B, "block4", protocol=protocol, augment="crop_flip")
    first, second = (rows(company(asked)) for _ in range(2))
    varies = {"at": None, "seconds": 0.0, "peak_memory": 0}
    for task, found in first.items():
        for one, other in zip(found, second[task], strict=True):
            assert dataclasses.replace(one, **varies) == dataclasses.replace(other, **varies)


def test_streams_and_initialisations_have_seeds_of_their_own() -> None:
    """Two stitches that differ in their id alone see the same batches and start from different weights (paper)."""
    asked = stitch(A, B, "block8", protocol="paper", steps=1)
    twin = dataclasses.replace(asked, id=asked.id[::-1])
    one, other = (receipt(of) for of in rows(pack([asked, twin])).values())
    assert one.train_loss != other.train_loss
    strict_one, strict_other = (dataclasses.replace(of, recipe=stitch(A, B, "block8").recipe) for of in (asked, twin))
    one, other = (receipt(of) for of in rows(pack([strict_one, strict_other])).values())
    assert one.test_loss == pytest.approx(other.test_loss, abs=1e-5)  # both start at the closed form


def test_another_stream_gives_another_stitch() -> None:
    found = rows(pack([stitch(A, B, "block4", seed=seed) for seed in (0, 1)]))
    one, other = (receipt(of).test_loss for of in found.values())
    assert one != other


# --- the stitcher's own images --------------------------------------------------------------------------------------


def test_the_stitchers_images_are_the_splits_or_the_tops() -> None:
    full, own = (stitch_group.Group([stitch(A, B, "pool", data=data)], *loaded(B)) for data in ("full", "top"))
    assert len(full._feeds.stream.indices) == 1200
    assert len(own._feeds.stream.indices) == 100
    assert set(own._feeds.stream.indices) <= set(range(1200))


def test_an_untrained_top_has_no_images_of_its_own() -> None:
    random = model(5, steps=0)
    group = stitch_group.Group([stitch(A, random, "pool", data="top")], *loaded(random))
    assert len(group._feeds.stream.indices) == 1200


def loaded(b: perform.Model) -> tuple:
    """A, the tops by id, and the images, as a group takes them."""
    work = perform._StitchPackRun(pack([stitch(A, b, "pool")]), WEIGHTS.__getitem__, perform.torch.device("cpu"))
    work._images = perform._images_of(A.training.data, work._device)
    return work._network(A), {b.id: work._network(b)}, work._images


# --- feeding --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [0, 200_000, 2**30])
def test_what_is_kept_does_not_move_results(budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [stitch(A, B, cut, steps=45) for cut in ("block2", "block6")]  # over two epochs of 1,200 images
    before = [receipt(of).test_loss for of in rows(pack(asked)).values()]
    monkeypatch.setattr(bottom_feeds, "ACTIVATION_BUDGET", budget)
    after = [receipt(of).test_loss for of in rows(pack(asked)).values()]
    assert after == pytest.approx(before, abs=1e-4)


def test_the_activation_budget_holds() -> None:
    a, _, images = loaded(B)
    shapes = {"conv1": (8, 8, 8), "block8": (64, 1, 1), "pool": (64,)}
    kept = activation_batches.ActivationCache(a.folded, images, np.arange(100), shapes, 2 * 4 * 64 * 100 + 1)
    assert kept.bytes == 2 * 4 * 64 * 100
    first, again = (kept.batch(np.arange(10, 20))[0] for _ in range(2))
    assert set(kept._activations) == {"pool", "block8"}
    assert all((first[cut] == again[cut]).all() for cut in shapes)


# --- stopping -------------------------------------------------------------------------------------------------------


def test_it_stops_when_held_out_images_no_longer_improve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol_strict, "LOOK", 2)
    (found,) = rows(pack([stitch(B, B, "pool", steps=200)])).values()
    row = receipt(found)
    stops = [point for point in found if isinstance(point, CurveRow) and point.split == "stop"]
    assert row.converged
    assert row.steps < 200
    assert stops[0].step == 0
    assert stops[-1].step == row.steps
    before = min(point.loss for point in stops[: -protocol_strict.PATIENCE])
    assert all(point.loss >= before * (1 - protocol_strict.MARGIN) for point in stops[-protocol_strict.PATIENCE :])


def test_the_best_look_is_kept() -> None:
    """A learning rate that ruins everything leaves the closed form, which the first look saw."""
    asked = stitch(A, B, "block8", lr=100.0)
    row = receipt(rows(pack([asked]))[asked.id])
    assert row.test_error == row.direct_error


def test_a_holdout_that_was_trained_on_is_said_so() -> None:
    greedy = dataclasses.replace(A.training, samples=1300, id="greedy")
    row = stitch_group.Group([stitch(dataclasses.replace(A, training=greedy), B, "pool")], *loaded(B))
    assert row._stop_data(next(iter(row._stitches))) == "seen"


def test_every_cut_and_stitcher_ends() -> None:
    asked = [stitch(A, B, cut, steps=2) for cut in cuts()] + [stitch(A, B, "pool", stitcher="linear", steps=2)]
    outcomes: list[Outcome] = list(perform.perform(pack(asked), WEIGHTS.__getitem__))
    assert {outcome.rows[-1].task for outcome in outcomes} == {of.id for of in asked}
    assert all(isinstance(outcome.rows[-1], StitchRow) for outcome in outcomes)
