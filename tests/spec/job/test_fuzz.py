"""Tests with random job files: each file loads or gives mistakes with locations, and no other error is raised."""

import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeper.errors import JobError
from sweeper.spec.job.load import load
from sweeper.spec.job.resolve import from_json, to_json

JOB = {
    "name": "x",
    "dataset": {"parquet": "hub"},
    "models": {
        "m": {
            "arch": ["resnet18k", "myrtle"],
            "width": [4, 8],
            "steps": [5, 9],
            "snapshot": [5, 9],
            "seed": [1, 2],
            "zip": ["steps", "snapshot"],
        },
        "n": {"arch": "myrtle", "epochs": 2, "samples": [5, "all"], "zip": [["arch", "seed"]]},
        "c": {
            "arch": "resnet18k",
            "width": 4,
            "steps": 5,
            "samples": 5,
            "init_from": "d",
            "reset": ["none", "ends", "ends_torch"],
            "freeze": [[], ["conv1", 3]],
            "labels": [[0, 1], [2]],
            "shards": 2,
            "shard": [0, 1],
        },
        "d": {
            "arch": "resnet18k",
            "width": 4,
            "steps": 5,
            "objective": "simclr",
            "temperature": 0.1,
            "labels": [[0, 1], [2]],
        },
    },
    "stitch": [
        {"bottom": ["m", "n"], "top": "n", "layers": {"every": 2}, "stitcher": [{"name": "linear"}, "conv1x1"]},
        {"bottom": "m", "top": "m", "layers": ["conv1", 2], "where": "a.seed != b.seed", "zip": ["bottom", "top"]},
    ],
    "similarity": [{"bottom": "m", "top": "n", "measure": {"name": "linear_cka", "debiased": [True, False]}}],
    "engine": {"workers": "auto", "gpus": 0.5},
    "limits": {"tasks": 10_000},
}
words = st.sampled_from(
    ["m", "c", "ends", "all", "auto", "arch", "resnet18k", "linear", "seed", "name", "options", "a.seed == 1", ""]
)
scalars = st.none() | st.booleans() | st.integers(-2, 40) | st.floats(-1, 1e9) | words
values = st.recursive(scalars, lambda x: st.lists(x, max_size=3) | st.dictionaries(words, x, max_size=3), max_leaves=5)


def paths(value, keys=()):
    """Yield the keys that lead to each value inside a job, such as ("models", "m", "width", 0)."""
    if keys:
        yield keys
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*keys, key))


@st.composite
def altered_jobs(draw):
    """Draw a copy of `JOB` in which one to three values are replaced or removed, or their keys renamed."""
    job = json.loads(json.dumps(JOB))
    for _ in range(draw(st.integers(1, 3))):
        *parent_keys, last_key = draw(st.sampled_from(sorted(paths(job), key=str)))
        holder = job
        for key in parent_keys:
            holder = holder[key]
        change = draw(st.sampled_from(["replace", "remove", "rename"]))
        if change == "replace":
            holder[last_key] = draw(values)
        else:
            removed_value = holder.pop(last_key)
            if change == "rename" and isinstance(holder, dict):
                holder[draw(words)] = removed_value
        if not job:
            break
    return job


def test_the_unaltered_job_loads(parquet_folder):
    path = Path(parquet_folder).parent / "unaltered.yaml"
    path.write_text(json.dumps(JOB))
    assert load(path).models.keys() == JOB["models"].keys()


@settings(max_examples=100, deadline=5_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(job=altered_jobs())
def test_an_altered_job_loads_or_gives_mistakes_with_locations(job, parquet_folder):
    path = Path(parquet_folder).parent / "altered.yaml"
    path.write_text(json.dumps(job, indent=1))
    try:
        sweep = load(path)
    except JobError as error:
        assert_mistakes_have_locations(error, path)
    else:
        assert from_json(to_json(sweep)) == sweep


def assert_mistakes_have_locations(error: JobError, path: Path) -> None:
    """Assert that every mistake names the file, and a line unless the file holds no keys."""
    assert error.mistakes
    for mistake in error.mistakes:
        assert mistake.file == str(path)
        assert mistake.problem
        assert mistake.line > 0 or job_is_empty(path)


def job_is_empty(path: Path) -> bool:
    return not path.read_text().strip("{}\n ")
