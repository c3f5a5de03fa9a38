"""Identity: what an id depends on, and what it must not depend on."""

import dataclasses
import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from support.plan_jobs import job, jobs, pairing

from sweeper.plan.plan import Plan
from sweeper.spec.cards.archs import ARCHS
from sweeper.spec.job.sweep import ResolvedSweep, Sweep
from sweeper.spec.records.ident import canonical
from sweeper.spec.records.task import Data, Model

GOLDEN = Path(__file__).parents[1] / "golden" / "plan_ids.json"
FAMILY: dict[str, Any] = {"arch": "resnet18k", "width": 8, "samples": 100, "steps": 20, "seed": 0}


def ids(sweep: Sweep) -> set[str]:
    return set(Plan.of(sweep).ids())


def only(**family: Any) -> str:
    (model,) = Plan.of(job({"one": FAMILY | family})).models
    return model.id


def backwards(value: Any) -> Any:
    """Return the same mapping with its keys in reverse order at all levels."""
    if isinstance(value, dict):
        return {key: backwards(item) for key, item in reversed(value.items())}
    return [backwards(item) for item in value] if isinstance(value, list | tuple) else value


@settings(max_examples=40, deadline=None)
@given(jobs())
def test_ids_do_not_depend_on_the_order_of_keys(sweep):
    assert ids(ResolvedSweep.model_validate(backwards(sweep.model_dump()))) == ids(sweep)


@settings(max_examples=40, deadline=None)
@given(jobs())
def test_ids_do_not_depend_on_names_of_families_engine_or_store(sweep):
    text = sweep.model_dump_json()
    for name in sweep.models:
        text = text.replace(f'"{name}"', f'"renamed-{name}"')
    other = ResolvedSweep.model_validate_json(text).model_copy(update={"name": "other", "store": "s3://elsewhere/x"})
    assert ids(other) == ids(sweep)
    assert ids(other.model_copy(update={"engine": {"pack_seconds": 1}})) == ids(sweep)


def test_ids_do_not_depend_on_where_the_data_lie():
    sweep = job(stitch=[pairing()])
    assert sweep.data is not None
    moved = sweep.model_copy(update={"data": dataclasses.replace(sweep.data, where="/elsewhere", name="parquet")})
    assert ids(moved) == ids(sweep)
    changed = sweep.model_copy(update={"data": dataclasses.replace(sweep.data, digest="0" * 64)})
    assert not ids(changed) & ids(sweep)


def test_spellings_of_one_value_make_one_id():
    assert only(lr=1) == only(lr=1.0) == only(lr=[1.0])
    assert only(label_noise=0) == only(label_noise=0.0) == only()
    assert only(width=8) == only(options={"width": [8.0]})
    assert only(epochs=32, steps=None) == only(steps=25)  # of 128 images, from 100
    recipes = [job(stitch=[pairing(lr=lr)]) for lr in (1, 1.0)]
    assert ids(recipes[0]) == ids(recipes[1])


def test_defaults_written_out_change_nothing():
    written = {"nested": False, "label_noise": 0.0, "batch": 128, "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4}
    written |= {
        "labels": "classes",
        "shards": 1,
        "shard": 0,
        "subset_seed": 0,
        "label_noise_kind": "other_class",
        "label_smoothing": 0,
    }
    assert only(**written, schedule="step", augment="none", warmup=0) == only()
    simclr = {"objective": "simclr", "temperature": 0.5, "probe_steps": 1000}
    assert only(**simclr) == only(objective="simclr")
    section = pairing(stitcher="conv1x1", protocol="strict", data="full", seed=0, steps=200, batch=64, lr=0.01)
    assert ids(job(stitch=[section | {"augment": "none"}])) == ids(job(stitch=[pairing()]))


def test_every_setting_moves_the_id():
    changes: list[dict[str, Any]] = [
        {"width": 16},
        {"samples": 101},
        {"nested": True},
        {"label_noise": 0.1},
        {"steps": 21},
        {"snapshot": 10},
        {"seed": 1},
        {"batch": 64},
        {"lr": 0.1},
        {"momentum": 0.0},
        {"weight_decay": 0.0},
        {"schedule": "cosine"},
        {"augment": "crop_flip"},
        {"arch": "myrtle"},
        {"schedule": "one_cycle"},
        {"warmup": 0.1},
        {"label_smoothing": 0.1},
        {"label_noise": 0.1, "label_noise_kind": "any_class"},
        {"shards": 2},
        {"shards": 2, "shard": 1},
        {"shards": 2, "subset_seed": 1},
        {"nested": True, "subset_seed": 1},
        {"labels": [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]},
        {"labels": [[0, 1, 2, 3, 5], [4, 6, 7, 8, 9]]},
        {"objective": "simclr"},
        {"objective": "simclr", "temperature": 0.1},
        {"objective": "simclr", "probe_steps": 10},
        {"freeze": ["conv1"]},
        {"freeze": ["conv1", "block1"]},
        {"freeze_depth": 0.5},
    ]
    assert len({only(), *(only(**change) for change in changes)}) == 1 + len(changes)
    section = pairing(layers=["pool"], where="a.seed == 10 and b.seed == 0")
    changes = [{"seed": 1}, {"steps": 10}, {"batch": 8}, {"lr": 0.1}, {"augment": "crop_flip"}, {"data": "top"}]
    changes += [{"protocol": "paper"}, {"stitcher": "linear"}, {"layers": ["block8"]}]
    stitches = [ids(job(stitch=[section | change])) - ids(job()) for change in [{}, *changes]]
    assert all(len(found) == 1 for found in stitches)
    assert len(set.union(*stitches)) == 1 + len(changes)


@settings(max_examples=40, deadline=None)
@given(jobs())
def test_another_value_of_an_axis_keeps_the_old_ids(sweep):
    def longer(section: Any, name: str, value: object) -> Any:
        return section.model_copy(update={name: tuple(dict.fromkeys((*getattr(section, name), value)))})

    models = {name: longer(family, "seed", 77) for name, family in sweep.models.items()}
    assert ids(sweep.model_copy(update={"models": models})) >= ids(sweep)
    stitch = tuple(longer(section, "seed", 77) for section in sweep.stitch)
    assert ids(sweep.model_copy(update={"stitch": stitch})) >= ids(sweep)


def test_different_specs_never_share_an_id():
    """10,000 random families: two models have one id exactly where their resolved specs are equal."""
    draw = random.Random(0)
    axes: dict[str, list[Any]] = {
        "arch": ["resnet18k", "myrtle"],
        "width": [4, 8, 16, 32],
        "samples": [50, 100, 300, 1200],
        "nested": [False, True],
        "label_noise": [0.0, 0.1, 0.5],
        "steps": [0, 10, 100, 200],
        "seed": list(range(20)),
        "batch": [32, 64, 128],
        "lr": [0.01, 0.05, 1],
        "schedule": ["step", "cosine", "constant"],
        "augment": ["none", "crop_flip"],
        "warmup": [0, 0.1],
        "label_smoothing": [0, 0.1],
        "label_noise_kind": ["other_class", "any_class"],
        "shards": [1],
        "subset_seed": [0, 1],
        "objective": ["supervised", "simclr"],
        "probe_steps": [100, 1000],
        "init_from": ["start"],
        "reset": ["none", "ends"],
        "freeze_depth": [0.0, 0.5],
        "labels": ["classes", [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]],
    }
    specs: dict[str, str] = {}
    for _ in range(10):
        models = {
            f"f{n}": {name: draw.choice(values) for name, values in axes.items()} | {"snapshot": draw.randint(1, 10)}
            for n in range(1000)
        }
        for model in Plan.of(job({**models, "start": FAMILY})).models:
            assert specs.setdefault(model.id, spec(model)) == spec(model)
    assert len(set(specs.values())) == len(specs)
    assert len(specs) > 5_000


def test_what_a_run_begins_with_is_part_of_it():
    def child(parent: dict[str, Any] | None = None, **changes: Any) -> set[str]:
        plan = Plan.of(job({"parent": FAMILY | (parent or {}), "child": FAMILY | {"init_from": "parent"} | changes}))
        return {plan.models[place].id for place in plan.families["child"]}

    found = [{only()}, child(), child({"lr": 0.1}), child(reset="ends"), child(steps=0), child(steps=0, reset="ends")]
    found += [child(seed=1), child(init_from=None)]
    assert found.pop() == found[0]
    assert len(set.union(*found)) == len(found)
    assert only(reset="ends") == only(), "nothing to reset"


def test_a_setting_that_nothing_reads_is_in_no_id():
    assert only(label_noise_kind="any_class") == only()
    assert only(subset_seed=3) == only()
    assert only(temperature=0.1, probe_steps=7) == only(objective="supervised") == only()


def spec(model: Model) -> str:
    """Everything that a model is, written out; its data set by content."""
    fields = {field.name: getattr(model.training, field.name) for field in dataclasses.fields(model.training)}
    del fields["id"]
    fields["init"] = fields["init"].id if fields["init"] else None
    assert isinstance(fields["data"], Data)
    return canonical({**fields, "data": fields["data"].spec, "step": model.step})


def test_different_stitches_never_share_an_id():
    models = {"one": FAMILY | {"seed": [0, 1, 2], "steps": [0, 20]}}
    section = pairing("one", "one", stitcher=["conv1x1", "identity", "linear"], data=["full", "top"], seed=[0, 1])
    sweep = job(models, stitch=[section | {"lr": [0.1, 1], "protocol": ["strict", "paper"]}], similarity=[section_of()])
    plan = Plan.of(sweep)
    tasks = plan.tasks(range(len(plan.graph.rows)))
    assert len({task.id for task in tasks}) == len(tasks) > 3000
    for x, y in itertools.pairwise(tasks):
        assert dataclasses.replace(x, id="") != dataclasses.replace(y, id="") or type(x) is not type(y)


def section_of() -> dict[str, Any]:
    return pairing("one", "one", measure=[{"name": "linear_cka", "debiased": [False, True]}])


def golden_job() -> Sweep:
    models = {
        "trained": FAMILY
        | {"batch": 100, "epochs": 3, "steps": None, "snapshot": [1, 3], "label_noise": 0.1, "nested": True},
        "myrtle": {"arch": "myrtle", "width": 4, "steps": 10, "samples": 50, "batch": 50, "schedule": "cosine"},
        "random": {"arch": "resnet18k", "width": 8, "steps": 0},
    }
    # Settings written out: another default for a protocol is another task, and moves no id that a store already has.
    settings = {"steps": 300, "batch": 256, "lr": 1e-3}
    stitch = [
        pairing(["trained", "random"], "trained", layers=["block8", "pool"], data=["full", "top"], **settings),
        pairing("trained", "trained", layers=[1], stitcher="identity"),
        pairing("myrtle", "myrtle", layers={"every": 3}, protocol="paper", lr=1e-4),
    ]
    sweep = job(models, stitch=stitch, similarity=[pairing("trained", "random", layers=["pool"])])
    # Data of its own: what is golden is how ids are made, not what the digits' digest is.
    return sweep.model_copy(update={"data": Data("digits", "d1" * 32, 1347, 450, 10, (1, 8, 8), 147)})


def test_golden_ids():
    """Ids of old stores must stay: a change here needs a kernel's new version, or is a mistake."""
    plan = Plan.of(golden_job())
    assert {task: readable(plan, task) for task in plan.ids()} == json.loads(GOLDEN.read_text())


def architectures_job() -> Sweep:
    """A model and a stitch into itself of every architecture that came after the first two."""
    archs: dict[str, dict[str, Any]] = {
        "resnet_cifar": {"blocks": 3, "width": 16},
        "vit": {"patch": 2, "depth": 3, "dim": 48, "heads": 3, "mlp_ratio": 4},
        "mlp": {"depth": 3, "width": 64},
    }
    length = {"samples": 100, "steps": 20, "batch": 100}
    models = {arch: {"arch": arch, **options, **length} for arch, options in archs.items()}
    settings = {"steps": 300, "batch": 256, "lr": 1e-3}
    sweep = job(models, stitch=[pairing(arch, arch, layers=[2], **settings) for arch in archs])
    return sweep.model_copy(update={"data": golden_job().data})


def test_golden_ids_of_architectures():
    plan = Plan.of(architectures_job())
    names = [readable(plan, model.id) for model in plan.models]
    names += [f"{task.a.training.arch} into itself at {task.cut_a}" for task in plan.tasks(range(len(plan.models)))]
    golden = json.loads(GOLDEN.with_name("arch_ids.json").read_text())
    assert dict(zip(plan.ids(), names, strict=True)) == golden


@pytest.mark.parametrize("name", ARCHS)
def test_every_setting_of_an_architecture_moves_the_id(name: str):
    base = {"arch": name, "steps": 5, **{option: spec.default for option, spec in ARCHS[name].options.items()}}
    other = {"patch": 8, "heads": 6, "dim": 384}
    found = [base, *(base | {option: other.get(option, 2)} for option in ARCHS[name].options)]
    assert len({model.id for family in found for model in Plan.of(job({"one": family})).models}) == len(found) > 1


def readable(plan: Plan, task: str) -> str:
    found = plan.task(task)
    if isinstance(found, Model):
        run = found.training
        return f"{run.arch} {dict(run.options)} samples {run.samples} steps {found.step}/{run.steps} seed {run.seed}"
    what = getattr(found, "measure", None) or found.recipe  # type: ignore[union-attr]
    return f"{found.a.id[:6]} {found.cut_a} into {found.b.id[:6]} {found.cut_b} by {what}"
