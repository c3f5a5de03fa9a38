"""Estimates: they grow with the work, and stay within sight of what was measured."""

import dataclasses

import pytest
import torch
from support.plan_jobs import job, pairing

from sweeper.plan import cost
from sweeper.plan.explain import summary
from sweeper.plan.graph import MeasureSpec
from sweeper.plan.plan import Plan
from sweeper.spec.cards.card import Cut
from sweeper.spec.records.task import Recipe, Stitch, StitchPack
from sweeper.trials.networks.archs import build

MODELS = {
    "small": {"arch": "resnet18k", "width": 8, "samples": 100, "steps": 20},
    "large": {"arch": "resnet18k", "width": 32, "samples": 100, "steps": [20, 40]},
}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan.of(job(MODELS, stitch=[pairing("small", "small"), pairing("large", "large")]))


def own(plan: Plan, cut: str, **changes: object) -> float:
    """Return the estimated seconds of the small network stitched to itself."""
    tasks = (task for task in plan.tasks(range(len(plan.graph.rows))) if isinstance(task, Stitch))
    stitch = next(task for task in tasks if task.cut_a == cut and task.a == task.b)
    network = plan.catalog.network_of(stitch.b.training)
    place = next(c for c in network.cuts if c.name == cut)
    return cost.own_seconds(
        dataclasses.replace(stitch.recipe, **changes), place, place, network, plan.data, plan.catalog
    )


def test_training_costs_by_its_steps_and_width(plan: Plan):
    def seconds(width: int, step: int) -> float:
        model = next(m for m in plan.models if m.option("width") == width and m.step == step)
        return cost.train_seconds(model, plan.catalog.network_of(model.training))

    assert seconds(32, 40) == pytest.approx(2 * seconds(32, 20), rel=0.1)
    assert seconds(32, 20) > 2 * seconds(8, 20)


def test_simclr_costs_twice_as_much_and_a_probe(plan: Plan):
    model = next(m for m in plan.models if m.option("width") == 32 and m.step == 40)
    network = plan.catalog.network_of(model.training)

    def seconds(**changes: object) -> float:
        changed = dataclasses.replace(model.training, **changes)
        return cost.train_seconds(dataclasses.replace(model, training=changed), network)

    simclr = seconds(objective="simclr")
    passes = seconds(batch=256) - seconds()
    assert simclr - seconds() == pytest.approx(passes)
    assert passes > 0.5 * seconds()
    assert seconds(objective="simclr", probe_steps=1000) > simclr + 1
    larger = cost.train_bytes(dataclasses.replace(model.training, objective="simclr"), network)
    assert larger > 1.5 * cost.train_bytes(model.training, network) - cost.WORKER


def test_frozen_layers_cost_less_the_earlier_they_are(plan: Plan):
    model = next(m for m in plan.models if m.option("width") == 32 and m.step == 40)
    network = plan.catalog.network_of(model.training)

    def seconds(*frozen: str) -> float:
        changed = dataclasses.replace(model.training, freeze=frozen)
        return cost.train_seconds(dataclasses.replace(model, training=changed), network)

    names = [cut.name for cut in network.cuts]
    assert seconds(*names[:5]) < seconds(*names[1:6]) < seconds()
    step = model.training.batch * network.flops / cost.RATE
    assert seconds() - seconds(*names) == pytest.approx(2 * model.step * step, rel=1e-3), "all but the linear layer"


def test_a_stitch_costs_less_the_later_its_cut(plan: Plan):
    assert own(plan, "conv1") > own(plan, "block4") > own(plan, "pool") > 0


def test_a_stitch_costs_by_its_steps(plan: Plan):
    assert own(plan, "block4", steps=600) > 1.5 * own(plan, "block4", steps=300)
    assert own(plan, "block4", steps=0) < 0.2 * own(plan, "block4", steps=300)
    assert own(plan, "block4", protocol="paper") > own(plan, "block4")


def test_a_top_that_trains_costs_its_weights_gradients_and_their_memory(plan: Plan):
    strict, paper = (
        own(plan, "conv1", protocol=protocol, train="top") / own(plan, "conv1", protocol=protocol)
        for protocol in ("strict", "paper")
    )
    assert 1.05 < paper < 1.4 < strict < 3, "in strict its norms are not folded, either"
    assert own(plan, "block4", train="top", steps=0) == own(plan, "block4", steps=0)
    assert own(plan, "block4", train="top", stitcher="identity") > own(plan, "block4", stitcher="identity", steps=0)


def test_tops_that_train_need_memory_for_each(plan: Plan):
    """A sender and two tops in a pack."""
    section = pairing("large", "large", layers=["conv1"], steps=10)
    stitched, tuned = (
        summary(Plan.of(job(MODELS, stitch=[section | {"train": what}], engine={"pack_seconds": 1000})))["memory_bytes"]
        for what in ("stitcher", "top")
    )
    weights = 4 * plan.catalog.network_of(plan.models[-1].training).parameters
    assert stitched < cost.WORKER + 2 * 6 * weights < tuned < cost.WORKER + 4 * 6 * weights


def test_a_stitcher_of_tokens_is_used_at_each_token():
    models = {"vit": {"arch": "vit", "patch": 2, "depth": 1, "dim": 8, "heads": 2, "samples": 100, "steps": 20}}
    plan = Plan.of(job(models, stitch=[pairing("vit", "vit")]))
    (recipe,) = plan.graph.operations
    assert isinstance(recipe, Recipe)
    tokens, vector = (plan.catalog.network_of(plan.models[0].training).cuts[i] for i in (0, -1))
    card = plan.catalog.stitcher(recipe.stitcher)
    of_tokens, of_vector = (cost._stitcher_flops(recipe, cut, cut, card) for cut in (tokens, vector))
    assert of_tokens == 16 * of_vector > 0


def test_a_transformer_needs_more_memory_to_train_than_its_cuts_say(plan: Plan):
    """What a step keeps for its backward pass is counted from autograd itself; half as much again for gradients."""
    run = dataclasses.replace(
        plan.models[0].training,
        arch="vit",
        options=(("depth", 2), ("dim", 24), ("heads", 2), ("mlp_ratio", 4), ("patch", 2)),
        batch=10,
    )
    network = build(run.arch, run.options, run.data.shape, run.data.classes)
    weights = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = network(torch.randn(run.batch, *run.data.shape))
    assert logits.requires_grad
    counted = (
        cost.train_bytes(run, plan.catalog.network_of(run))
        - cost.WORKER
        - 12 * sum(w.numel() for w in network.parameters())
    )
    assert 1.3 * sum(kept.values()) < counted < 3 * sum(kept.values())


def test_a_stitcher_costs_by_its_parameters_and_what_is_solved_by_its_images(plan: Plan):
    def seconds(stitcher: str, **options: object) -> float:
        return own(plan, "block1", stitcher=stitcher, options=tuple(options.items()))

    large = seconds("conv", kernel=9, norm=True, depth=2)
    assert large > seconds("conv", kernel=3, norm=True, depth=1) > seconds("conv1x1")
    assert seconds("conv", kernel=1, norm=True, depth=1) == seconds("conv1x1")
    assert seconds("adapter", places="pool") == pytest.approx(seconds("conv1x1"), rel=1e-6)
    solved, plugged = (own(plan, "block1", stitcher=name, steps=0) for name in ("affine", "identity"))
    assert solved > plugged


def test_a_probe_has_no_top_to_run(plan: Plan):
    network = plan.catalog.network_of(plan.models[0].training)
    (recipe,) = plan.graph.operations
    assert isinstance(recipe, Recipe)
    probe = dataclasses.replace(recipe, stitcher="probe")
    seconds = cost.own_seconds(probe, network.cuts[0], network.output(10), network, plan.data, plan.catalog)
    assert cost.FIXED < seconds < own(plan, "pool")


def test_without_augmentation_the_sender_passes_once(plan: Plan):
    (recipe,) = plan.graph.operations
    assert isinstance(recipe, Recipe)
    recipe = dataclasses.replace(recipe, steps=300)  # sees each image more than once
    deepest = plan.catalog.network_of(plan.models[0].training).cuts[-1]
    once = cost.shared_seconds(recipe, deepest, plan.data, plan.catalog)
    each_step = cost.shared_seconds(dataclasses.replace(recipe, augment="crop_flip"), deepest, plan.data, plan.catalog)
    paper = cost.shared_seconds(dataclasses.replace(recipe, protocol="paper"), deepest, plan.data, plan.catalog)
    tested = cost.shared_seconds(MeasureSpec("linear_cka", ()), deepest, plan.data, plan.catalog)
    assert paper == each_step > once > tested > 0
    assert (
        cost.shared_seconds(recipe, plan.catalog.network_of(plan.models[0].training).cuts[0], plan.data, plan.catalog)
        < once
    )


def test_memory_is_bounded_by_what_a_pack_may_keep(plan: Plan):
    (recipe,) = plan.graph.operations
    assert isinstance(recipe, Recipe)
    cuts = list(plan.catalog.network_of(plan.models[0].training).cuts)
    huge = dataclasses.replace(plan.data, train=10_000_000)
    assert cost.pack_bytes(recipe, cuts, huge) == cost.WORKER + cost.KEPT
    assert cost.WORKER < cost.pack_bytes(recipe, cuts[-1:], plan.data) < cost.pack_bytes(recipe, cuts, plan.data)


LINEAR, PERMUTED = (MeasureSpec("linear_cka", (("debiased", False),), null) for null in (0, 20))
AXES = MeasureSpec("procrustes", (("maps", "flat"),))


def test_a_measure_costs_by_its_features_and_by_its_permutations(plan: Plan):
    small, large = (plan.catalog.network_of(plan.models[place].training) for place in (0, -1))

    def seconds(metric: MeasureSpec, cut: int) -> float:
        return cost.own_seconds(metric, small.cuts[cut], large.cuts[cut], large, plan.data, plan.catalog) - cost.FIXED

    assert seconds(LINEAR, 0) > seconds(LINEAR, -1) > 0
    assert seconds(AXES, 0) > seconds(LINEAR, 0)
    assert seconds(PERMUTED, 0) == pytest.approx(21 * seconds(LINEAR, 0))


def test_the_receivers_pass_is_shared_by_all_measurements_of_a_pair():
    def seconds(layers: list[str]) -> float:
        plan = Plan.of(job(MODELS, similarity=[pairing("small", "small", layers=layers)]), done=())
        (pack,) = (pack for pack in plan.packs() if isinstance(pack, StitchPack))
        assert len(pack.measures) == len(layers)
        return pack.seconds - sum(_own(plan, name) for name in layers)

    def _own(plan: Plan, name: str) -> float:
        network = plan.catalog.network_of(plan.models[0].training)
        cut = next(cut for cut in network.cuts if cut.name == name)
        return cost.own_seconds(LINEAR, cut, cut, network, plan.data, plan.catalog)

    assert seconds(["block4", "block8"]) == pytest.approx(seconds(["block8"]))
    assert seconds(["block8"]) > 1.1 * seconds(["block4"])


def test_memory_of_measures_counts_both_networks(plan: Plan):
    small, large = (list(plan.catalog.network_of(plan.models[place].training).cuts) for place in (0, -1))
    n = plan.data.test

    def need(metric: MeasureSpec, bottom_cuts: list[Cut], top_cuts: list[Cut], test: int = n) -> float:
        cells = [cost.MeasuredCuts(metric, a, b) for a, b in zip(bottom_cuts, top_cuts, strict=True)]
        return cost.measure_bytes(cells, dataclasses.replace(plan.data, test=test)) - cost.WORKER

    one = need(LINEAR, large[:1], large[:1])
    assert one > 2 * 2 * 4 * n * 32 * 8 * 8  # two activations and a centred copy of each
    assert need(LINEAR, small[:1], small[:1]) < need(LINEAR, small[:1], large[:1]) == need(LINEAR, large[:1], small[:1])
    assert need(LINEAR, large, large) > one
    assert need(AXES, large[:1], large[:1], test=2000) > need(LINEAR, large[:1], large[:1], test=2000)
    # Where nothing more is kept, only the activation at hand and what the measure needs grow with the images.
    assert need(LINEAR, large, large, test=200_000) < 2 * cost.KEPT + 8 * 4 * 200_000 * 32 * 8 * 8


def test_rows_hold_a_bit_for_each_test_image(plan: Plan):
    bigger = dataclasses.replace(plan.data, test=10_000 + plan.data.test)
    assert cost.row_bytes("stitches", bigger) - cost.row_bytes("stitches", plan.data) == 1250
    assert cost.row_bytes("similarities", bigger) == cost.row_bytes("similarities", plan.data)
