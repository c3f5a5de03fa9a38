"""Tests of packs: every task ends in a row, a failure affects no other task, and results don't depend on the pack."""

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
from sweeper.trials.stitching import best_weights, bottom_feeds, stitch_group
from sweeper.trials.stitching.rate_phases import PHASE_STEPS

A, B, C = model(1), model(2, samples=100), model(3, samples=300)


def receipt(task_rows: Sequence[Row]) -> StitchRow:
    """Return the last of a stitch's rows; fail if it is a failure."""
    assert isinstance(task_rows[-1], StitchRow), task_rows[-1]
    return task_rows[-1]


def test_a_training_run_gives_a_row_for_each_of_its_models() -> None:
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
def test_the_row_of_a_stitch_is_complete_and_consistent(protocol: str) -> None:
    task = stitch(A, B, "block4", protocol=protocol)
    (task_rows,) = rows(pack([task])).values()
    row = receipt(task_rows)
    assert (row.task, row.a, row.b, row.protocol) == (task.id, A.id, B.id, protocol)
    assert (row.a_weights, row.b_weights) == (weights(A), weights(B))
    assert row.penalty == row.test_error - row.b_error == -row.gain
    assert row.steps <= row.max_steps == 10
    assert row.seconds > 0
    assert row.peak_memory > 0
    assert row.direct_error is not None
    assert row.direct_r2 is not None
    assert row.direct_r2 <= 1
    correct = np.unpackbits(np.frombuffer(row.correct, np.uint8))[:450]
    assert row.test_error == pytest.approx(100 * (450 - correct.sum()) / 450)
    assert row.stop_data == ("held_out" if protocol == "strict" else "none")
    assert all(isinstance(point, CurveRow) and point.task == task.id for point in task_rows[:-1])


def test_the_error_of_the_top_is_that_of_its_model_row() -> None:
    """Compare the score of the top in a pack of stitches with its row from training."""
    row = receipt(rows(pack([stitch(A, B, "pool")]))[stitch(A, B, "pool").id])
    (outcome,) = perform.perform(TrainPack("p", B.training, (B,), 1.0), WEIGHTS.__getitem__)
    model_row = outcome.rows[-1]
    assert isinstance(model_row, ModelRow)
    assert (row.b_error, row.b_weights) == (model_row.test_error, model_row.weights)
    assert row.b_loss == pytest.approx(model_row.test_loss, rel=1e-5)


def test_a_task_that_fails_does_not_affect_the_others() -> None:
    good, bad_cut = stitch(A, B, "block8"), stitch(A, B, "block8", "nowhere")
    misfit, measurement = (
        stitch(A, B, "block2", "block8"),
        Measurement("cka", A, "pool", B, "nowhere", "linear_cka", ()),
    )
    row_by_task = {
        task: task_rows[-1] for task, task_rows in rows(pack([bad_cut, good, misfit], [measurement])).items()
    }
    assert isinstance(row_by_task[good.id], StitchRow)
    failures = {task: row for task, row in row_by_task.items() if isinstance(row, FailureRow)}
    assert set(failures) == {bad_cut.id, misfit.id, "cka"}
    assert "nowhere" in failures[bad_cut.id].message
    assert "nowhere" in failures["cka"].message
    assert failures["cka"].of == "similarities"
    assert failures[misfit.id].of == "stitches"
    assert "Traceback" in failures[misfit.id].traceback


def test_a_stitch_that_fails_in_training_does_not_affect_others_with_the_same_top(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Make one of two stitches with the same top raise; these run as one batch, and after an error one by one."""
    good, bad = stitch(A, B, "block8"), stitch(A, B, "block8", seed=0, lr=0.5)
    build = stitch_group.StitchGroup._build_stitched

    def build_with_error(group: stitch_group.StitchGroup, task: stitch_group.Stitch) -> stitch_group.StitchedNetwork:
        stitched = build(group, task)
        if task.id == bad.id:
            stitched.stitcher.register_forward_hook(lambda *_: 1 / 0)
        return stitched

    lone_row = receipt(rows(pack([good]))[good.id])
    monkeypatch.setattr(stitch_group.StitchGroup, "_build_stitched", build_with_error)
    rows_by_task = rows(pack([bad, good]))
    failure = rows_by_task[bad.id][-1]
    assert isinstance(failure, FailureRow)
    assert failure.error == "ZeroDivisionError"
    assert receipt(rows_by_task[good.id]).test_loss == pytest.approx(lone_row.test_loss, abs=1e-4)


def test_only_the_tasks_of_a_top_that_cannot_be_loaded_fail() -> None:
    good, bad = stitch(A, B, "pool"), stitch(A, C, "pool")
    complete_pack = pack([good, bad])
    broken_pack = dataclasses.replace(complete_pack, weights={**complete_pack.weights, C.id: "gone"})
    rows_by_task = rows(broken_pack)
    assert isinstance(rows_by_task[good.id][-1], StitchRow)
    assert isinstance(rows_by_task[bad.id][-1], FailureRow)


def test_all_tasks_fail_if_the_bottom_cannot_be_loaded() -> None:
    complete_pack = pack([stitch(A, B, "pool")], [Measurement("cka", A, "pool", B, "pool", "linear_cka", ())])
    broken_pack = dataclasses.replace(complete_pack, weights={A.id: "gone", B.id: weights(B)})
    last_rows = [task_rows[-1] for task_rows in rows(broken_pack).values()]
    kinds = [row.of for row in last_rows if isinstance(row, FailureRow)]
    assert kinds == ["stitches", "similarities"]


def test_measurements_give_similarity_rows() -> None:
    same_model = Measurement("same", A, "block4", A, "block4", "linear_cka", (("debiased", True),))
    two_models = Measurement("other", A, "block4", B, "block4", "linear_cka", ())
    row_by_task = {task: task_rows[-1] for task, task_rows in rows(pack([], [same_model, two_models])).items()}
    assert all(isinstance(row, SimilarityRow) and row.samples == 450 for row in row_by_task.values())
    values = {task: row.value for task, row in row_by_task.items() if isinstance(row, SimilarityRow)}
    assert values["same"] == pytest.approx(1, abs=1e-5)
    assert 0 < values["other"] < 1


MEASUREMENTS = [
    Measurement(f"{cut_a} {b.id} {cut_b} {name}", A, cut_a, b, cut_b, name, options)
    for cut_a, cut_b in (("block4", "block4"), ("block4", "block6"), ("pool", "pool"))
    for b in (A, B, C)
    for name, options in (("linear_cka", (("debiased", False),)), ("procrustes", (("maps", "flat"),)))
]
MEASUREMENTS.append(Measurement("agree", A, "output", B, "output", "output_agreement", ()))  # fmt: skip


def test_each_network_is_run_once_for_all_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: Counter[int] = Counter()

    def counted_activations(network: perform.torch.nn.Module, *arguments: Any) -> Any:
        passes[id(network)] += 1
        return activations(network, *arguments)

    monkeypatch.setattr(activation_cache, "activations", counted_activations)
    rows_by_task = rows(pack([], MEASUREMENTS))
    assert all(isinstance(task_rows[-1], SimilarityRow) for task_rows in rows_by_task.values())
    assert list(passes.values()) == [1, 1, 1]  # the test images are one chunk


@pytest.mark.parametrize("budget", [0, 4 * 450 * 70, 4 * 450 * 600])
def test_similarities_do_not_depend_on_the_activation_budget(budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    default_values = {task: measured_value(task_rows) for task, task_rows in rows(pack([], MEASUREMENTS)).items()}
    monkeypatch.setattr(compare, "ACTIVATION_BUDGET", budget)
    values = {task: measured_value(task_rows) for task, task_rows in rows(pack([], MEASUREMENTS)).items()}
    assert values == default_values
    lone_values = {task.id: measured_value(rows(pack([], [task]))[task.id]) for task in MEASUREMENTS}
    assert lone_values == pytest.approx(default_values, abs=1e-12)


def measured_value(task_rows: Sequence[Row]) -> float:
    """Return the value of a measurement from its rows; fail if it failed."""
    assert isinstance(task_rows[-1], SimilarityRow), task_rows[-1]
    return task_rows[-1].value


def test_the_agreement_of_outputs_is_consistent_with_the_errors_of_the_networks() -> None:
    names = ("output_agreement", "output_kappa")
    measurements = [Measurement(name, A, "output", B, "output", name, ()) for name in names]
    rows_by_task = rows(pack([stitch(A, B, "pool")], measurements))
    row = rows_by_task["output_agreement"][-1]
    assert isinstance(row, SimilarityRow)
    assert (row.cut_a, row.depth_a, row.depth_b, row.position_b) == ("output", 1, 1, 12)
    stitch_row = receipt(rows_by_task[stitch(A, B, "pool").id])
    # The least agreement is that of two networks that never err on the same image.
    assert 1 - (stitch_row.a_error + stitch_row.b_error) / 100 <= row.value < 1
    assert 0 < measured_value(rows_by_task["output_kappa"]) < row.value


def test_the_null_is_the_measure_on_permuted_images() -> None:
    """Compare the null of a row with values computed from the two activations and the permutations."""
    names = {"linear_cka": (("debiased", True),), "mutual_knn": (("distance", "cosine"), ("k", 10))}
    tasks = [Measurement(name, A, "block6", B, "block6", name, options, null=3) for name, options in names.items()]
    rows_by_task = rows(pack([], [*tasks, MEASUREMENTS[0]]))
    row_by_task = {task: task_rows[-1] for task, task_rows in rows_by_task.items()}
    x, y = (activation_of(network, "block6") for network in (A, B))
    for task, options in names.items():
        row = row_by_task[task]
        assert isinstance(row, SimilarityRow)
        orders = [compare.null_order(draw, 450, y.device) for draw in range(3)]
        expected_null = [similarity(Pair(Activation(x), Activation(y[order])), task, dict(options)) for order in orders]
        assert row.null_permutations == 3
        assert row.null_mean == pytest.approx(np.mean(expected_null), abs=1e-6)
        assert row.null_std == pytest.approx(np.std(expected_null, ddof=1), abs=1e-6)
        assert np.mean(expected_null) < 0.1 < row.value
    row_without_null = row_by_task[MEASUREMENTS[0].id]
    assert isinstance(row_without_null, SimilarityRow)
    assert (row_without_null.null_permutations, row_without_null.null_mean, row_without_null.null_std) == (
        None,
        None,
        None,
    )


def activation_of(model: perform.Model, cut: str) -> perform.torch.Tensor:
    """Return a model's activation of the test images at a cut."""
    work = perform._StitchPackRun(pack([stitch(A, model, "pool")]), WEIGHTS.__getitem__, perform.torch.device("cpu"))
    work._images = perform._images_of(A.training.data, work._device)
    ((images, _),) = work._images.test_batches()
    return activations(work._network(model).folded, images, [cut])[cut]


def test_a_measurement_that_fails_does_not_affect_the_others() -> None:
    knn = Measurement("too many", A, "pool", B, "pool", "mutual_knn", (("distance", "cosine"), ("k", 450)), null=2)
    misfit = Measurement("misfit", A, "block2", B, "block8", "svcca", (("maps", "pixels"), ("variance", 0.99)))
    fine = Measurement("fine", A, "pool", B, "pool", "linear_cka", (("debiased", False),), null=2)
    row_by_task = {task: task_rows[-1] for task, task_rows in rows(pack([], [knn, misfit, fine])).items()}
    failures = {task: row.message for task, row in row_by_task.items() if isinstance(row, FailureRow)}
    assert "450 neighbours" in failures["too many"]
    assert "maps of equal size" in failures["misfit"]
    assert isinstance(row_by_task["fine"], SimilarityRow)
    assert row_by_task["fine"].null_permutations == 2


# --- independence ---------------------------------------------------------------------------------------------------


def with_other_tasks(task: stitch_group.Stitch) -> StitchPack:
    """Return a pack of a stitch and others with another cut, another top, the same top, and another stream."""
    recipe = task.recipe
    other_stitches = [
        stitch(A, B, "block2", protocol=recipe.protocol, steps=recipe.steps),
        stitch(A, C, task.cut_a, protocol=recipe.protocol, steps=recipe.steps),
        stitch(A, B, "block6", protocol=recipe.protocol, steps=recipe.steps, seed=9),
        stitch(A, B, task.cut_a, protocol=recipe.protocol, steps=recipe.steps, lr=0.02),
    ]
    measurement = Measurement("cka", A, "pool", B, "pool", "linear_cka", ())
    return pack([*other_stitches[:2], task, *other_stitches[2:]], [measurement])


@pytest.mark.parametrize("protocol", ["strict", "paper"])
@pytest.mark.parametrize("cut", ["conv1", "block6"])
def test_the_first_step_does_not_depend_on_the_other_tasks_of_the_pack(protocol: str, cut: str) -> None:
    task = stitch(A, B, cut, protocol=protocol, steps=1)
    packs = (pack([task]), with_other_tasks(task))
    lone_row, row = (receipt(rows(stitch_pack)[task.id]) for stitch_pack in packs)
    assert row.test_loss == pytest.approx(lone_row.test_loss, abs=1e-5)
    assert row.train_loss == pytest.approx(lone_row.train_loss, abs=1e-5)


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_the_test_error_does_not_depend_on_the_other_tasks_of_the_pack(protocol: str) -> None:
    task = stitch(A, B, "block4", protocol=protocol, steps=40)
    packs = (pack([task]), with_other_tasks(task))
    lone_row, row = (receipt(rows(stitch_pack)[task.id]) for stitch_pack in packs)
    assert row.test_error == pytest.approx(lone_row.test_error, abs=0.5)


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_a_second_run_of_a_pack_gives_the_same_bits(protocol: str) -> None:
    task = stitch(A, B, "block4", protocol=protocol, augment="crop_flip")
    first_run, second_run = (rows(with_other_tasks(task)) for _ in range(2))
    variable_fields = {"at": None, "seconds": 0.0, "peak_memory": 0}
    for task_id, first_rows in first_run.items():
        for first, second in zip(first_rows, second_run[task_id], strict=True):
            assert dataclasses.replace(first, **variable_fields) == dataclasses.replace(second, **variable_fields)


def test_the_seed_of_the_stream_does_not_depend_on_the_id_and_that_of_the_stitcher_does() -> None:
    """Compare stitches that differ only in their id: they get the same batches and, in paper, other initial weights."""
    task = stitch(A, B, "block8", protocol="paper", steps=1)
    paper_tasks = [task, dataclasses.replace(task, id=task.id[::-1])]
    first, second = (receipt(task_rows) for task_rows in rows(pack(paper_tasks)).values())
    assert first.train_loss != second.train_loss
    strict_recipe = stitch(A, B, "block8").recipe
    strict_tasks = [dataclasses.replace(paper_task, recipe=strict_recipe) for paper_task in paper_tasks]
    first, second = (receipt(task_rows) for task_rows in rows(pack(strict_tasks)).values())
    assert first.test_loss == pytest.approx(second.test_loss, abs=1e-5)  # both start at the closed form


def test_stitches_with_different_seeds_have_different_losses() -> None:
    rows_by_task = rows(pack([stitch(A, B, "block4", seed=seed) for seed in (0, 1)]))
    first_loss, second_loss = (receipt(task_rows).test_loss for task_rows in rows_by_task.values())
    assert first_loss != second_loss


# --- the images that train a stitcher -------------------------------------------------------------------------------


def test_a_stitcher_is_trained_on_the_split_or_on_the_images_of_its_top() -> None:
    full, every, top = (
        stitch_group.StitchGroup([stitch(A, B, "pool", data=data)], *load_networks(B))
        for data in ("full", "all", "top")
    )
    assert len(full._feeds.stream.indices) == 1200
    assert sorted(every._feeds.stream.indices) == list(range(1347))
    assert len(top._feeds.stream.indices) == 100
    assert set(top._feeds.stream.indices) <= set(range(1200))


def test_a_stitcher_into_an_untrained_top_is_trained_on_the_split() -> None:
    random = model(5, steps=0)
    group = stitch_group.StitchGroup([stitch(A, random, "pool", data="top")], *load_networks(random))
    assert len(group._feeds.stream.indices) == 1200


def test_a_strict_stitcher_trained_on_all_images_is_stopped_by_images_that_it_has_seen() -> None:
    """Perform `full` and `all` in one pack: the images differ, and only `full` has held-out ones."""
    tasks = [
        stitch(A, B, "pool", data=data, protocol=protocol, steps=3)
        for data in ("full", "all")
        for protocol in ("strict", "paper")
    ]
    full_strict, full_paper, all_strict, all_paper = (receipt(task_rows) for task_rows in rows(pack(tasks)).values())
    assert [row.data for row in (full_strict, full_paper, all_strict, all_paper)] == ["full", "full", "all", "all"]
    assert (full_strict.stop_data, all_strict.stop_data) == ("held_out", "seen")
    assert full_paper.stop_data == all_paper.stop_data == "none"
    assert full_strict.direct_r2 != all_strict.direct_r2
    assert full_paper.train_loss != all_paper.train_loss


def load_networks(b: perform.Model) -> tuple:
    """Return A, the tops by id, and the images: the arguments of a group."""
    work = perform._StitchPackRun(pack([stitch(A, b, "pool")]), WEIGHTS.__getitem__, perform.torch.device("cpu"))
    work._images = perform._images_of(A.training.data, work._device)
    return work._network(A), {b.id: work._network(b)}, work._images


# --- the cache of activations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [0, 200_000, 2**30])
def test_results_do_not_depend_on_the_activation_budget(budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [stitch(A, B, cut, steps=45) for cut in ("block2", "block6")]  # over two epochs of 1,200 images
    default_losses = [receipt(task_rows).test_loss for task_rows in rows(pack(tasks)).values()]
    monkeypatch.setattr(bottom_feeds, "ACTIVATION_BUDGET", budget)
    losses = [receipt(task_rows).test_loss for task_rows in rows(pack(tasks)).values()]
    assert losses == pytest.approx(default_losses, abs=1e-4)


def test_the_cache_stays_within_its_budget() -> None:
    a, _, images = load_networks(B)
    shapes = {"conv1": (8, 8, 8), "block8": (64, 1, 1), "pool": (64,)}
    cache = activation_batches.ActivationCache(a.folded, images, np.arange(100), shapes, 2 * 4 * 64 * 100 + 1)
    assert cache.bytes == 2 * 4 * 64 * 100
    first, second = (cache.batch(np.arange(10, 20))[0] for _ in range(2))
    assert set(cache._activations) == {"pool", "block8"}
    assert all((first[cut] == second[cut]).all() for cut in shapes)


# --- stopping -------------------------------------------------------------------------------------------------------


def test_training_stops_after_two_phases_without_improvement() -> None:
    """Train at a learning rate so small that no phase lowers the held-out loss."""
    (task_rows,) = rows(pack([stitch(A, B, "block4", steps=640, lr=1e-9)])).values()
    row = receipt(task_rows)
    points = [point for point in task_rows if isinstance(point, CurveRow) and point.split == "stop"]
    assert row.converged
    assert row.steps == best_weights.PATIENCE * PHASE_STEPS
    assert [point.step for point in points] == [0, 64, 64, 128, 128]


def test_one_phase_is_not_taken_for_convergence() -> None:
    (task_rows,) = rows(pack([stitch(A, B, "block4", steps=20, lr=1e-9)])).values()
    assert not receipt(task_rows).converged


def test_the_weights_with_the_lowest_held_out_loss_are_evaluated() -> None:
    """Train with a learning rate so large that the closed form, measured first, has the lowest held-out loss."""
    task = stitch(A, B, "block6", lr=100.0)
    row = receipt(rows(pack([task]))[task.id])
    assert row.test_error == row.direct_error


def test_a_network_that_was_trained_on_the_holdout_is_recorded() -> None:
    training = dataclasses.replace(A.training, samples=1300, id="trained on the holdout")
    group = stitch_group.StitchGroup([stitch(dataclasses.replace(A, training=training), B, "pool")], *load_networks(B))
    assert group._stop_data(next(iter(group._stitches))) == "seen"


def test_stitches_at_every_cut_give_a_row() -> None:
    tasks = [stitch(A, B, cut, steps=2) for cut in cuts()] + [stitch(A, B, "pool", stitcher="linear", steps=2)]
    outcomes: list[Outcome] = list(perform.perform(pack(tasks), WEIGHTS.__getitem__))
    assert {outcome.rows[-1].task for outcome in outcomes} == {task.id for task in tasks}
    assert all(isinstance(outcome.rows[-1], StitchRow) for outcome in outcomes)


@pytest.mark.parametrize(
    ("cut", "stitcher", "kind"),
    [
        ("block7", "conv1x1", (False, False, None)),
        ("block8", "conv1x1", (True, True, None)),
        ("pool", "conv1x1", (True, True, "block8")),
        ("pool", "relative", (True, False, None)),
    ],
)
def test_a_row_says_whether_a_stitch_only_probes_a_and_repeats_another_cut(
    cut: str, stitcher: str, kind: tuple[bool, bool, str | None]
) -> None:
    task = stitch(A, B, cut, stitcher=stitcher, options=(("anchors", 8),) if stitcher == "relative" else ())
    row = receipt(rows(pack([task]))[task.id])
    assert (row.affine_top, row.probe_only, row.same_as) == kind
