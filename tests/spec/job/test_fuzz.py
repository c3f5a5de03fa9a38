"""Tests with random job files: each loads or gives mistakes with locations; no other error is raised."""

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
            "reset": ["none", "ends"],
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


def ways(value, way=()):
    """Yield the keys that lead to each part of a job."""
    if way:
        yield way
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from ways(item, (*way, key))


@st.composite
def spoilt_jobs(draw):
    """Return the job with some parts replaced, dropped or renamed."""
    job = json.loads(json.dumps(JOB))
    for _ in range(draw(st.integers(1, 3))):
        way = draw(st.sampled_from(sorted(ways(job), key=str)))
        holder = job
        for key in way[:-1]:
            holder = holder[key]
        how = draw(st.sampled_from(["replace", "drop", "rename"]))
        if how == "replace":
            holder[way[-1]] = draw(values)
        else:
            gone = holder.pop(way[-1])
            if how == "rename" and isinstance(holder, dict):
                holder[draw(words)] = gone
        if not job:
            break
    return job


def test_the_job_is_sound_before_it_is_spoilt(parquet_folder):
    path = Path(parquet_folder).parent / "sound.yaml"
    path.write_text(json.dumps(JOB))
    assert load(path).models.keys() == JOB["models"].keys()


@settings(max_examples=100, deadline=5_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(job=spoilt_jobs())
def test_a_spoilt_job_loads_or_says_where_it_is_wrong(job, parquet_folder):
    path = Path(parquet_folder).parent / "spoilt.yaml"
    path.write_text(json.dumps(job, indent=1))
    try:
        sweep = load(path)
    except JobError as error:
        assert_each_has_a_place(error, path)
    else:
        assert from_json(to_json(sweep)) == sweep


def assert_each_has_a_place(error: JobError, path: Path) -> None:
    assert error.mistakes
    for mistake in error.mistakes:
        assert mistake.file == str(path)
        assert mistake.problem
        assert mistake.line > 0 or job_is_empty(path)


def job_is_empty(path: Path) -> bool:
    return not path.read_text().strip("{}\n ")
