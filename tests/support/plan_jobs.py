"""Fixed and random jobs for the tests of planning."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from sweeper.spec.job.resolve import resolve
from sweeper.spec.job.sweep import ResolvedSweep, Sweep


def job(models: Mapping[str, Any] | None = None, **sections: Any) -> ResolvedSweep:
    """Return a resolved job on the digits data set; `models` defaults to two small families."""
    if models is None:
        models = {
            "weak": {"arch": "resnet18k", "width": 8, "samples": 100, "steps": 20, "seed": [0, 1]},
            "strong": {"arch": "resnet18k", "width": 8, "samples": 300, "steps": 20, "seed": [10, 11]},
        }
    return resolve(Sweep.model_validate({"name": "test", "models": models, **sections}))


def pairing(bottom: Any = "strong", top: Any = "weak", **others: Any) -> dict[str, Any]:
    """Return a section of a job that pairs the families `bottom` and `top`."""
    return {"bottom": bottom, "top": top, **others}


def axis(values: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[list[Any]]:
    """Return a strategy for an axis of 1 to `most` distinct values."""
    return st.lists(values, min_size=1, max_size=most, unique=True)


@st.composite
def families(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a family of small networks with up to two optional settings."""
    length = draw(st.sampled_from(["steps", "epochs"]))
    lengths = st.sampled_from([0, 5, 20]) if length == "steps" else st.sampled_from([0.5, 1, 2.0])
    family = {
        "arch": draw(st.sampled_from(["resnet18k", "myrtle"])),
        "width": draw(axis(st.sampled_from([4, 8]))),
        length: draw(axis(lengths)),
        "samples": draw(axis(st.sampled_from([50, 100, "all"]))),
        "seed": draw(axis(st.integers(0, 3))),
    }
    optional = {
        "nested": axis(st.booleans()),
        "label_noise": axis(st.sampled_from([0, 0.1, 1.0])),
        "batch": axis(st.sampled_from([32, 128])),
        "lr": axis(st.sampled_from([0.05, 1])),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(optional)), max_size=2))
    return family | {name: draw(optional[name]) for name in chosen}


@st.composite
def stitch_sections(draw: st.DrawFn, names: list[str]) -> dict[str, Any]:
    """Draw a stitch section whose bottoms and tops are families from `names`."""
    section = pairing(draw(axis(st.sampled_from(names))), draw(axis(st.sampled_from(names))))
    section["stitcher"] = draw(axis(st.sampled_from(["conv1x1", "identity", "linear"])))
    section["layers"] = draw(st.sampled_from(["all", {"every": 3}, ["pool"], [1, "pool"]]))
    optional = {
        "protocol": axis(st.sampled_from(["strict", "paper"])),
        "data": axis(st.sampled_from(["full", "top", "all"])),
        "seed": axis(st.integers(0, 2)),
        "steps": axis(st.sampled_from([0, 30])),
        "where": st.sampled_from(["a.seed != b.seed", "a.samples >= b.samples"]),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(optional)), max_size=2))
    return section | {name: draw(optional[name]) for name in chosen}


@st.composite
def jobs(draw: st.DrawFn) -> ResolvedSweep:
    """Draw a small resolved job: a few families, stitches and similarities."""
    names = ["weak", "strong", "other"][: draw(st.integers(1, 3))]
    return job(
        {name: draw(families()) for name in names},
        stitch=draw(st.lists(stitch_sections(names), max_size=2)),
        similarity=[pairing(draw(st.sampled_from(names)), draw(st.sampled_from(names)), layers=["pool"])],
        engine={"pack_seconds": draw(st.sampled_from([0.5, 5, 1000]))},
    )
