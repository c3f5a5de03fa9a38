"""Tests of the cost estimates: they grow with the work, and their ratios are plausible."""

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


def stitch_seconds(plan: Plan, cut: str, **changes: object) -> float:
    """Return the estimated seconds of the small network stitched to itself, after changes to the recipe."""
    tasks = (task for task in plan.tasks(range(len(plan.graph.rows))) if isinstance(task, Stitch))
    stitch = next(task for task in tasks if task.cut_a == cut and task.a == task.b)
    network = plan.catalog.network_of(stitch.b.training)
    layout = next(c for c in network.cuts if c.name == cut)
    return cost.own_seconds(
        dataclasses.replace(stitch.recipe, **changes), layout, layout, network, plan.data, plan.catalog
    )


def test_training_costs_by_its_steps_and_width(plan: Plan):
    def seconds(width: int, step: int) -> float:
        model = next(m for m in plan.models if m.option("width") == width and m.step == step)
        return cost.train_seconds(model, plan.catalog.network_of(model.training))

    assert seconds(32, 40) == pytest.approx(2 * seconds(32, 20), rel=0.1)
    assert seconds(32, 20) > 2 * seconds(8, 20)


def test_simclr_costs_twice_the_passes_and_a_probe(plan: Plan):
    model = next(m for m in plan.models if m.option("width") == 32 and m.step == 40)
    network = plan.catalog.network_of(model.training)

    def seconds(**changes: object) -> float:
        changed = dataclasses.replace(model.training, **changes)
        return cost.train_seconds(dataclasses.replace(model, training=changed), network)

    simclr = seconds(objective="simclr")
    doubled_batch = seconds(batch=256) - seconds()
    assert simclr - seconds() == pytest.approx(doubled_batch)
    assert doubled_batch > 0.5 * seconds()
    assert seconds(objective="simclr", probe_steps=1000) > simclr + 1
    simclr_bytes = cost.train_bytes(dataclasses.replace(model.training, objective="simclr"), network)
    assert simclr_bytes > 1.5 * cost.train_bytes(model.training, network) - cost.WORKER_BYTES


def test_freezing_the_first_layers_saves_more_than_freezing_later_ones(plan: Plan):
    model = next(m for m in plan.models if m.option("width") == 32 and m.step == 40)
    network = plan.catalog.network_of(model.training)

    def seconds(*frozen: str) -> float:
        changed = dataclasses.replace(model.training, freeze=frozen)
        return cost.train_seconds(dataclasses.replace(model, training=changed), network)

    names = [cut.name for cut in network.cuts]
    assert seconds(*names[:5]) < seconds(*names[1:6]) < seconds()
    step = model.training.batch * network.flops / cost.TRAIN_FLOPS_PER_SECOND
    assert seconds() - seconds(*names) == pytest.approx(2 * model.step * step, rel=1e-3), "all but the linear layer"


def test_a_stitch_costs_less_the_later_its_cut(plan: Plan):
    assert stitch_seconds(plan, "conv1") > stitch_seconds(plan, "block4") > stitch_seconds(plan, "pool") > 0


def test_a_stitch_costs_by_its_steps(plan: Plan):
    assert stitch_seconds(plan, "block4", steps=600) > 1.5 * stitch_seconds(plan, "block4", steps=300)
    assert stitch_seconds(plan, "block4", steps=0) < 0.2 * stitch_seconds(plan, "block4", steps=300)
    assert stitch_seconds(plan, "block4", protocol="paper") > stitch_seconds(plan, "block4")


def test_training_the_top_costs_more_seconds(plan: Plan):
    strict, paper = (
        stitch_seconds(plan, "conv1", protocol=protocol, train="top") / stitch_seconds(plan, "conv1", protocol=protocol)
        for protocol in ("strict", "paper")
    )
    assert 1.05 < paper < 1.4 < strict < 3, "in strict, the norms of a top that trains are not folded either"
    assert stitch_seconds(plan, "block4", train="top", steps=0) == stitch_seconds(plan, "block4", steps=0)
    assert stitch_seconds(plan, "block4", train="top", stitcher="identity") > stitch_seconds(
        plan, "block4", stitcher="identity", steps=0
    )


def test_training_the_tops_needs_memory_for_each_top(plan: Plan):
    """Plan a pack of one bottom and two tops, with frozen tops and with tops that train."""
    section = pairing("large", "large", layers=["conv1"], steps=10)
    frozen_bytes, trained_bytes = (
        summary(Plan.of(job(MODELS, stitch=[section | {"train": train}], engine={"pack_seconds": 1000})))[
            "memory_bytes"
        ]
        for train in ("stitcher", "top")
    )
    weights = 4 * plan.catalog.network_of(plan.models[-1].training).parameters
    assert frozen_bytes < cost.WORKER_BYTES + 2 * 6 * weights < trained_bytes < cost.WORKER_BYTES + 4 * 6 * weights


def test_a_stitcher_of_tokens_costs_operations_for_each_token():
    models = {"vit": {"arch": "vit", "patch": 2, "depth": 1, "dim": 8, "heads": 2, "samples": 100, "steps": 20}}
    plan = Plan.of(job(models, stitch=[pairing("vit", "vit")]))
    (recipe,) = plan.graph.operations
    assert isinstance(recipe, Recipe)
    tokens, vector = (plan.catalog.network_of(plan.models[0].training).cuts[i] for i in (0, -1))
    card = plan.catalog.stitcher(recipe.stitcher)
    token_flops, vector_flops = (cost._stitcher_flops(recipe, cut, cut, card) for cut in (tokens, vector))
    assert token_flops == 16 * vector_flops > 0


def test_training_memory_of_a_transformer_covers_the_tensors_that_autograd_saves(plan: Plan):
    """Compare the estimate with the bytes that autograd saves for the backward pass of a step."""
    run = dataclasses.replace(
        plan.models[0].training,
        arch="vit",
        options=(("depth", 2), ("dim", 24), ("heads", 2), ("mlp_ratio", 4), ("patch", 2)),
        batch=10,
    )
    network = build(run.arch, run.options, run.data.shape, run.data.classes)
    weights = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
    bytes_by_storage: dict[int, int] = {}

    def record(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            bytes_by_storage[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        logits = network(torch.randn(run.batch, *run.data.shape))
    assert logits.requires_grad
    estimated_activation_bytes = (
        cost.train_bytes(run, plan.catalog.network_of(run))
        - cost.WORKER_BYTES
        - 12 * sum(w.numel() for w in network.parameters())
    )
    saved_bytes = sum(bytes_by_storage.values())
    assert 1.3 * saved_bytes < estimated_activation_bytes < 3 * saved_bytes


def test_larger_stitchers_and_solved_stitchers_cost_more(plan: Plan):
    def seconds(stitcher: str, **options: object) -> float:
        return stitch_seconds(plan, "block1", stitcher=stitcher, options=tuple(options.items()))

    large = seconds("conv", kernel=9, norm=True, depth=2)
    assert large > seconds("conv", kernel=3, norm=True, depth=1) > seconds("conv1x1")
    assert seconds("conv", kernel=1, norm=True, depth=1) == seconds("conv1x1")
    assert seconds("adapter", places="pool") == pytest.approx(seconds("conv1x1"), rel=1e-6)
    affine, identity = (stitch_seconds(plan, "block1", stitcher=name, steps=0) for name in ("affine", "identity"))
    assert affine > identity


def test_a_probe_costs_no_forward_pass_of_the_top(plan: Plan):
    network = plan.catalog.network_of(plan.models[0].training)
    (recipe,) = plan.graph.operations
    assert isinstance(recipe, Recipe)
    probe = dataclasses.replace(recipe, stitcher="probe")
    seconds = cost.own_seconds(probe, network.cuts[0], network.output(10), network, plan.data, plan.catalog)
    assert cost.TASK_SECONDS < seconds < stitch_seconds(plan, "pool")


def test_without_augmentation_the_bottoms_forward_pass_is_counted_once(plan: Plan):
    (recipe,) = plan.graph.operations
    assert isinstance(recipe, Recipe)
    recipe = dataclasses.replace(recipe, steps=300)  # more than one epoch
    deepest_cut = plan.catalog.network_of(plan.models[0].training).cuts[-1]
    once = cost.shared_seconds(recipe, deepest_cut, plan.data, plan.catalog)
    each_step = cost.shared_seconds(
        dataclasses.replace(recipe, augment="crop_flip"), deepest_cut, plan.data, plan.catalog
    )
    paper = cost.shared_seconds(dataclasses.replace(recipe, protocol="paper"), deepest_cut, plan.data, plan.catalog)
    measure = cost.shared_seconds(MeasureSpec("linear_cka", ()), deepest_cut, plan.data, plan.catalog)
    assert paper == each_step > once > measure > 0
    assert (
        cost.shared_seconds(recipe, plan.catalog.network_of(plan.models[0].training).cuts[0], plan.data, plan.catalog)
        < once
    )


def test_memory_of_a_pack_has_an_upper_limit(plan: Plan):
    (recipe,) = plan.graph.operations
    assert isinstance(recipe, Recipe)
    cuts = list(plan.catalog.network_of(plan.models[0].training).cuts)
    large_data = dataclasses.replace(plan.data, train=10_000_000)
    assert cost.pack_bytes(recipe, cuts, large_data) == cost.WORKER_BYTES + cost.ACTIVATION_CACHE_BYTES
    assert cost.WORKER_BYTES < cost.pack_bytes(recipe, cuts[-1:], plan.data) < cost.pack_bytes(recipe, cuts, plan.data)


LINEAR, PERMUTED = (MeasureSpec("linear_cka", (("debiased", False),), null) for null in (0, 20))
AXES = MeasureSpec("procrustes", (("maps", "flat"),))


def test_a_measure_costs_by_its_features_and_by_its_permutations(plan: Plan):
    small, large = (plan.catalog.network_of(plan.models[i].training) for i in (0, -1))

    def seconds(metric: MeasureSpec, cut: int) -> float:
        return (
            cost.own_seconds(metric, small.cuts[cut], large.cuts[cut], large, plan.data, plan.catalog)
            - cost.TASK_SECONDS
        )

    assert seconds(LINEAR, 0) > seconds(LINEAR, -1) > 0
    assert seconds(AXES, 0) > seconds(LINEAR, 0)
    assert seconds(PERMUTED, 0) == pytest.approx(21 * seconds(LINEAR, 0))


def test_the_tops_forward_pass_is_shared_by_all_measurements_of_a_pair():
    def seconds(layers: list[str]) -> float:
        plan = Plan.of(job(MODELS, similarity=[pairing("small", "small", layers=layers)]), done=())
        (pack,) = (pack for pack in plan.packs() if isinstance(pack, StitchPack))
        assert len(pack.measurements) == len(layers)
        return pack.seconds - sum(measure_seconds(plan, name) for name in layers)

    def measure_seconds(plan: Plan, name: str) -> float:
        network = plan.catalog.network_of(plan.models[0].training)
        cut = next(cut for cut in network.cuts if cut.name == name)
        return cost.own_seconds(LINEAR, cut, cut, network, plan.data, plan.catalog)

    assert seconds(["block4", "block8"]) == pytest.approx(seconds(["block8"]))
    assert seconds(["block8"]) > 1.1 * seconds(["block4"])


def test_memory_of_measures_counts_both_networks(plan: Plan):
    small, large = (list(plan.catalog.network_of(plan.models[i].training).cuts) for i in (0, -1))
    n = plan.data.test

    def memory(metric: MeasureSpec, bottom_cuts: list[Cut], top_cuts: list[Cut], test: int = n) -> float:
        cells = [cost.MeasuredCuts(metric, a, b) for a, b in zip(bottom_cuts, top_cuts, strict=True)]
        return cost.measure_bytes(cells, dataclasses.replace(plan.data, test=test)) - cost.WORKER_BYTES

    one_pair = memory(LINEAR, large[:1], large[:1])
    assert one_pair > 2 * 2 * 4 * n * 32 * 8 * 8  # two activations and a centred copy of each
    assert (
        memory(LINEAR, small[:1], small[:1])
        < memory(LINEAR, small[:1], large[:1])
        == memory(LINEAR, large[:1], small[:1])
    )
    assert memory(LINEAR, large, large) > one_pair
    assert memory(AXES, large[:1], large[:1], test=2000) > memory(LINEAR, large[:1], large[:1], test=2000)
    # Above the limit on kept activations, only one activation and the memory of the measure grow with the images.
    assert memory(LINEAR, large, large, test=200_000) < 2 * cost.ACTIVATION_CACHE_BYTES + 8 * 4 * 200_000 * 32 * 8 * 8


def test_rows_hold_a_bit_for_each_test_image(plan: Plan):
    more_images = dataclasses.replace(plan.data, test=10_000 + plan.data.test)
    assert cost.row_bytes("stitches", more_images) - cost.row_bytes("stitches", plan.data) == 1250
    assert cost.row_bytes("similarities", more_images) == cost.row_bytes("similarities", plan.data)
