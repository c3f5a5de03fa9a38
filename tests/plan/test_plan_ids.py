"""Tests of the ids of tasks: what they depend on, and what they do not depend on."""

import dataclasses
import hashlib
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
from sweeper.spec.job.resolve import from_json
from sweeper.spec.job.sweep import ResolvedSweep
from sweeper.spec.records.ident import canonical
from sweeper.spec.records.task import Data, Model

FIXTURES = Path(__file__).parents[1] / "fixtures"
GOLDEN = Path(__file__).parents[1] / "golden" / "plan_ids.json"
FAMILY: dict[str, Any] = {"arch": "resnet18k", "width": 8, "samples": 100, "steps": 20, "seed": 0}


def ids(sweep: ResolvedSweep) -> set[str]:
    """Return the ids of a job's tasks."""
    return set(Plan.of(sweep).ids())


def model_id(**family: Any) -> str:
    """Return the id of the model of a family with some settings changed."""
    (model,) = Plan.of(job({"one": FAMILY | family})).models
    return model.id


def with_keys_reversed(value: Any) -> Any:
    """Return the same mapping with its keys in reverse order at all levels."""
    if isinstance(value, dict):
        return {key: with_keys_reversed(item) for key, item in reversed(value.items())}
    return [with_keys_reversed(item) for item in value] if isinstance(value, list | tuple) else value


@settings(max_examples=40, deadline=None)
@given(jobs())
def test_ids_do_not_depend_on_the_order_of_keys(sweep):
    assert ids(ResolvedSweep.model_validate(with_keys_reversed(sweep.model_dump()))) == ids(sweep)


@settings(max_examples=40, deadline=None)
@given(jobs())
def test_ids_do_not_depend_on_names_of_families_engine_or_store(sweep):
    text = sweep.model_dump_json()
    for name in sweep.models:
        text = text.replace(f'"{name}"', f'"renamed-{name}"')
    renamed_sweep = ResolvedSweep.model_validate_json(text)
    renamed_sweep = renamed_sweep.model_copy(update={"name": "other", "store": "s3://other/x"})
    assert ids(renamed_sweep) == ids(sweep)
    assert ids(renamed_sweep.model_copy(update={"engine": {"pack_seconds": 1}})) == ids(sweep)


def test_ids_do_not_depend_on_where_the_data_lie():
    sweep = job(stitch=[pairing()])
    moved = sweep.model_copy(update={"data": dataclasses.replace(sweep.data, where="/elsewhere", name="parquet")})
    assert ids(moved) == ids(sweep)
    changed = sweep.model_copy(update={"data": dataclasses.replace(sweep.data, digest="0" * 64)})
    assert not ids(changed) & ids(sweep)


def test_different_spellings_of_a_value_give_one_id():
    assert model_id(lr=1) == model_id(lr=1.0) == model_id(lr=[1.0])
    assert model_id(label_noise=0) == model_id(label_noise=0.0) == model_id()
    assert model_id(width=8) == model_id(options={"width": [8.0]})
    assert model_id(epochs=32, steps=None) == model_id(steps=25)  # of 128 images, from 100
    recipes = [job(stitch=[pairing(lr=lr)]) for lr in (1, 1.0)]
    assert ids(recipes[0]) == ids(recipes[1])


def test_defaults_that_are_written_out_do_not_change_an_id():
    defaults = {"nested": False, "label_noise": 0.0, "batch": 128, "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4}
    defaults |= {
        "labels": "classes",
        "shards": 1,
        "shard": 0,
        "subset_seed": 0,
        "label_noise_kind": "other_class",
        "label_smoothing": 0,
    }
    assert model_id(**defaults, schedule="step", augment="none", warmup=0) == model_id()
    simclr = {"objective": "simclr", "temperature": 0.5, "probe_steps": 1000}
    assert model_id(**simclr) == model_id(objective="simclr")
    section = pairing(stitcher="conv1x1", protocol="strict", data="full", seed=0, steps=192, batch=64, lr=0.15)
    assert ids(job(stitch=[section | {"augment": "none"}])) == ids(job(stitch=[pairing()]))


def test_every_setting_changes_the_id():
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
    assert len({model_id(), *(model_id(**change) for change in changes)}) == 1 + len(changes)
    section = pairing(layers=["pool"], where="a.seed == 10 and b.seed == 0")
    changes = [{"seed": 1}, {"steps": 10}, {"batch": 8}, {"lr": 0.1}, {"augment": "crop_flip"}, {"data": "top"}]
    changes += [{"protocol": "paper"}, {"stitcher": "linear"}, {"layers": ["block8"]}]
    stitches = [ids(job(stitch=[section | change])) - ids(job()) for change in [{}, *changes]]
    assert all(len(stitch_ids) == 1 for stitch_ids in stitches)
    assert len(set.union(*stitches)) == 1 + len(changes)


@settings(max_examples=40, deadline=None)
@given(jobs())
def test_another_value_of_an_axis_keeps_the_old_ids(sweep):
    def with_value_added(section: Any, name: str, value: object) -> Any:
        return section.model_copy(update={name: tuple(dict.fromkeys((*getattr(section, name), value)))})

    models = {name: with_value_added(family, "seed", 77) for name, family in sweep.models.items()}
    assert ids(sweep.model_copy(update={"models": models})) >= ids(sweep)
    stitch = tuple(with_value_added(section, "seed", 77) for section in sweep.stitch)
    assert ids(sweep.model_copy(update={"stitch": stitch})) >= ids(sweep)


def test_different_specs_never_share_an_id():
    """Check on 10,000 random families that two models have one id exactly if their resolved specs are equal."""
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


def test_the_initial_model_enters_the_id():
    def child(parent: dict[str, Any] | None = None, **changes: Any) -> set[str]:
        plan = Plan.of(job({"parent": FAMILY | (parent or {}), "child": FAMILY | {"init_from": "parent"} | changes}))
        return {plan.models[i].id for i in plan.families["child"]}

    ids_of_variants = [
        {model_id()},
        child(),
        child({"lr": 0.1}),
        child(reset="ends"),
        child(steps=0),
        child(steps=0, reset="ends"),
    ]
    ids_of_variants += [child(seed=1), child(init_from=None)]
    assert ids_of_variants.pop() == ids_of_variants[0]
    assert len(set.union(*ids_of_variants)) == len(ids_of_variants)
    assert model_id(reset="ends") == model_id(), "without an initial model, reset has no effect"


def test_a_setting_without_effect_enters_no_id():
    assert model_id(label_noise_kind="any_class") == model_id()
    assert model_id(subset_seed=3) == model_id()
    assert model_id(temperature=0.1, probe_steps=7) == model_id(objective="supervised") == model_id()


def spec(model: Model) -> str:
    """Return all fields of a model as text, with its data set identified by content."""
    fields = {field.name: getattr(model.training, field.name) for field in dataclasses.fields(model.training)}
    del fields["id"]
    fields["init"] = fields["init"].id if fields["init"] else None
    assert isinstance(fields["data"], Data)
    return canonical({**fields, "data": fields["data"].spec, "step": model.step})


def test_different_stitches_never_share_an_id():
    models = {"one": FAMILY | {"seed": [0, 1, 2], "steps": [0, 20]}}
    section = pairing("one", "one", stitcher=["conv1x1", "identity", "linear"], data=["full", "top"], seed=[0, 1])
    sweep = job(
        models, stitch=[section | {"lr": [0.1, 1], "protocol": ["strict", "paper"]}], similarity=[similarity_section()]
    )
    plan = Plan.of(sweep)
    tasks = plan.tasks(range(len(plan.graph.rows)))
    assert len({task.id for task in tasks}) == len(tasks) > 3000
    for task, other in itertools.pairwise(tasks):
        assert dataclasses.replace(task, id="") != dataclasses.replace(other, id="") or type(task) is not type(other)


def similarity_section() -> dict[str, Any]:
    return pairing("one", "one", measure=[{"name": "linear_cka", "debiased": [False, True]}])


def golden_job() -> ResolvedSweep:
    models = {
        "trained": FAMILY
        | {"batch": 100, "epochs": 3, "steps": None, "snapshot": [1, 3], "label_noise": 0.1, "nested": True},
        "myrtle": {"arch": "myrtle", "width": 4, "steps": 10, "samples": 50, "batch": 50, "schedule": "cosine"},
        "random": {"arch": "resnet18k", "width": 8, "steps": 0},
    }
    # Explicit settings, so that these ids don't depend on the defaults of a protocol.
    settings = {"steps": 300, "batch": 256, "lr": 1e-3}
    stitch = [
        pairing(["trained", "random"], "trained", layers=["block8", "pool"], data=["full", "top"], **settings),
        pairing("trained", "trained", layers=[1], stitcher="identity"),
        pairing("myrtle", "myrtle", layers={"every": 3}, protocol="paper", lr=1e-4),
    ]
    sweep = job(models, stitch=stitch, similarity=[pairing("trained", "random", layers=["pool"])])
    # A fixed data set, so that these ids don't depend on the digest of the digits.
    return sweep.model_copy(update={"data": Data("digits", "d1" * 32, 1347, 450, 10, (1, 8, 8), 147)})


def test_ids_equal_those_of_existing_stores():
    """Compare with the ids of old stores, which change only with the version of a kernel."""
    plan = Plan.of(golden_job())
    assert {task: description(plan, task) for task in plan.ids()} == json.loads(GOLDEN.read_text())


def architectures_job() -> ResolvedSweep:
    """Return a job with a model, and a stitch of it to itself, for every architecture added after the first two."""
    archs: dict[str, dict[str, Any]] = {
        "resnet_cifar": {"blocks": 3, "width": 16},
        "preact_resnet_cifar": {"blocks": 3, "width": 16},
        "vit": {"patch": 2, "depth": 3, "dim": 48, "heads": 3, "mlp_ratio": 4},
        "mlp": {"depth": 3, "width": 64},
    }
    length = {"samples": 100, "steps": 20, "batch": 100}
    models = {arch: {"arch": arch, **options, **length} for arch, options in archs.items()}
    settings = {"steps": 300, "batch": 256, "lr": 1e-3}
    sweep = job(models, stitch=[pairing(arch, arch, layers=[2], **settings) for arch in archs])
    return sweep.model_copy(update={"data": golden_job().data})


def test_ids_of_architectures_equal_those_of_existing_stores():
    plan = Plan.of(architectures_job())
    names = [description(plan, model.id) for model in plan.models]
    names += [f"{task.a.training.arch} into itself at {task.cut_a}" for task in plan.tasks(range(len(plan.models)))]
    golden = json.loads(GOLDEN.with_name("arch_ids.json").read_text())
    assert dict(zip(plan.ids(), names, strict=True)) == golden


def test_a_resolved_job_of_an_earlier_version_gives_the_same_ids():
    """Read the job of `fixtures/make_resolved_job_v1.py`, with an external network and a user's stitcher in a file."""
    sweep = from_json((FIXTURES / "resolved-job-v1.json").read_text())
    task_ids = sorted(Plan.of(sweep).ids())
    assert len(task_ids) == 555
    expected = "e7278f53f772d94912ba402765ed7d76d981622cb43b49e39dfd278d4ee99d4c"
    assert hashlib.sha256("\n".join(task_ids).encode()).hexdigest() == expected


@pytest.mark.parametrize("name", ARCHS)
def test_every_setting_of_an_architecture_changes_the_id(name: str):
    base = {"arch": name, "steps": 5, **{option: spec.default for option, spec in ARCHS[name].options.items()}}
    other_values = {"patch": 8, "heads": 6, "dim": 384}
    families = [base, *(base | {option: other_values.get(option, 2)} for option in ARCHS[name].options)]
    assert len({model.id for family in families for model in Plan.of(job({"one": family})).models}) == len(families) > 1


def description(plan: Plan, task_id: str) -> str:
    """Return a description of a task for the file of golden ids."""
    task = plan.task(task_id)
    if isinstance(task, Model):
        run = task.training
        return f"{run.arch} {dict(run.options)} samples {run.samples} steps {task.step}/{run.steps} seed {run.seed}"
    operation = getattr(task, "measure", None) or task.recipe  # type: ignore[union-attr]
    return f"{task.a.id[:6]} {task.cut_a} into {task.b.id[:6]} {task.cut_b} by {operation}"
