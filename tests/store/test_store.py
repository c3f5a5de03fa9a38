"""Opening of stores, commits, weights, and stores that were merged or written by an earlier version."""

import json
import pickle
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.store_rows import curve, failure, model, similarity, start, stitch, weights_of

from sweeper.errors import StoreError
from sweeper.store.parts.objects import Bucket
from sweeper.store.store import Store

FIXTURE = Path(__file__).parents[1] / "fixtures" / "store-v1"


def test_opening_a_missing_folder_raises_and_creates_nothing(tmp_path: Path):
    with pytest.raises(StoreError, match=r"there is no store at .*/none; `sweeper run JOB --store"):
        Store.open(str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_a_folder_with_other_files_is_refused_and_not_changed(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match=r"is not a store: it has no sweeper\.json"):
        Store.open(str(tmp_path))
    with pytest.raises(StoreError, match=r"not empty \(it contains thesis.tex\)"):
        Store.open(str(tmp_path), create=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_refused(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("x")
    for create in (False, True):
        with pytest.raises(StoreError, match=r"is a file|is not a store"):
            Store.open(str(file), create=create)


def test_an_empty_folder_becomes_a_store_and_keeps_its_mark(tmp_path: Path):
    (tmp_path / ".gitkeep").touch()
    store = Store.open(str(tmp_path), create=True)
    store.commit([stitch("m1", "m2")], run="r", worker="w")
    mark = (tmp_path / "sweeper.json").read_text()
    assert json.loads(mark)["format"] == 1
    assert Store.open(f"file://{tmp_path}", create=True).done() == store.done() == {"m1>m2@block1"}
    assert (tmp_path / "sweeper.json").read_text() == mark


def test_a_later_format_is_refused(tmp_path: Path):
    (tmp_path / "sweeper.json").write_text('{"format": 2}')
    with pytest.raises(StoreError, match=r"has store format 2, but this version of Sweeper .* reads formats up to 1"):
        Store.open(str(tmp_path))
    with pytest.raises(StoreError, match="format 2"):
        Store.open(str(tmp_path), create=True)


@pytest.mark.parametrize("mark", ["", "{", "[]", "{}", '{"format": "one"}', "3"])
def test_an_invalid_mark_is_reported(tmp_path: Path, mark: str):
    (tmp_path / "sweeper.json").write_text(mark)
    with pytest.raises(StoreError, match=r"sweeper\.json can't be read|has store format"):
        Store.open(str(tmp_path))


def test_receipts_are_published_after_curves_and_failures(store: Store):
    rows = [start("r"), stitch("m1", "m2"), similarity("m1", "m2"), model("m1"), failure("x"), curve("m1", 1)]
    kinds = [path.split("/")[1] for path in store.commit(rows, run="r", worker="w")]
    assert kinds == ["curves", "failures", "models", "stitches", "similarities", "runs"]


def test_a_repeated_commit_changes_nothing(store: Store):
    rows = [stitch("m1", f"m{i}") for i in range(3)]
    paths = store.commit(rows, run="r", worker="w")
    assert Store.open(store.url).commit(rows, run="r", worker="w") == paths
    assert len(store.objects.list("rows/")) == 1


def test_a_commit_without_rows_writes_nothing(store: Store):
    assert store.commit([], run="r", worker="w") == []


def test_weights_are_stored_under_their_digest(store: Store):
    digest = store.put_weights(weights_of("m1"))
    assert store.put_weights(weights_of("m1")) == digest
    assert store.get_weights(digest) == weights_of("m1")
    with pytest.raises(StoreError, match="has no weights/"):
        store.get_weights("0" * 64)


def test_times_are_those_of_the_done_tasks_that_are_asked_for(store: Store):
    rows = [model("m1", device="cpu", seconds=3.0), stitch("m1", "m2", device="H100", seconds=2.0), failure("x")]
    store.commit([*rows, similarity("m1", "m2")], run="r", worker="w")
    assert store.times(["m1", "m1>m2@block1", "x", "unknown"]) == {"m1": ("cpu", 3.0), "m1>m2@block1": ("H100", 2.0)}
    assert store.times([]) == {}


def test_a_store_can_be_pickled(store: Store):
    store.commit([stitch("m1", "m2")], run="r", worker="w")
    assert pickle.loads(pickle.dumps(store)).done() == store.done()


def test_copying_one_store_into_another_merges_them(tmp_path: Path):
    stores = [Store.open(str(tmp_path / name), create=True) for name in ("one", "two")]
    for number, store in enumerate(stores):
        store.put_weights(weights_of("m1"))
        store.put_weights(weights_of(f"m{number + 2}"))
        run, second_model = f"r{number}", model(f"m{number + 2}", run=f"r{number}")
        store.commit([model("m1", run=run), second_model, stitch("m1", second_model.task)], run=run, worker="w")
    shutil.copytree(stores[1].url, stores[0].url, dirs_exist_ok=True)
    merged = Store.open(stores[0].url)
    assert merged.done() == {"m1", "m2", "m3", "m1>m2@block1", "m1>m3@block1"}
    assert merged.sql("SELECT task, run FROM models ORDER BY task").to_pylist() == [
        {"task": "m1", "run": "r0"},
        {"task": "m2", "run": "r0"},
        {"task": "m3", "run": "r1"},
    ]
    assert merged.sql("SELECT count(*) AS n FROM stitches WHERE NOT mixed").to_pylist() == [{"n": 2}]


def test_a_store_in_a_bucket_has_commits_weights_queries_and_a_lease(bucket: Bucket):
    with pytest.raises(StoreError, match="there is no store at s3://"):
        Store.open(bucket.url)
    store = Store.open(bucket.url, create=True)
    assert Store.open(bucket.url, create=True).url == store.url
    digest = store.put_weights(weights_of("m1"))
    rows = [model("m1"), stitch("m1", "m1", gain=1.0), stitch("m1", "m2", task="x", gain=3.0)]
    assert store.commit(rows, run="r", worker="w") == store.commit(rows, run="r", worker="w")
    assert store.done() == {"m1", "m1>m1@block1", "x"}
    assert store.weights() == {"m1": digest}
    assert store.get_weights(digest) == weights_of("m1")
    rows_of_view = store.sql("SELECT task, a_arch, net_gain FROM stitches ORDER BY task").to_pylist()
    assert rows_of_view == [
        {"task": "m1>m1@block1", "a_arch": "x", "net_gain": 0.0},
        {"task": "x", "a_arch": "x", "net_gain": None},
    ]
    with store.lease() as lease:
        assert lease.is_held()


def test_a_store_of_format_1_can_be_read(tmp_path: Path):
    """The store was written once by `tests/fixtures/make_store_v1.py`, and must not be written again."""
    store = Store.open(shutil.copytree(FIXTURE, tmp_path / "store-v1").as_posix())
    assert store.damage == []
    counts = {
        view: store.sql(f"SELECT count(*) AS n FROM {view}").to_pylist()[0]["n"]
        for view in ("models", "stitches", "similarities", "curves", "attempts", "failures", "runs")
    }
    expected = {"models": 2, "stitches": 4, "similarities": 1, "curves": 4, "attempts": 8, "failures": 1, "runs": 1}
    assert counts == expected
    assert store.done() == {"m1", "m2", "m1~m2", *(f"{a}>{b}@block1" for a in ("m1", "m2") for b in ("m1", "m2"))}
    assert store.sql("SELECT sum(net_gain) AS n FROM stitches").to_pylist() == [{"n": 3.0}]
    later_columns = "shards, shard, subset_seed, label_noise_kind, label_smoothing, warmup"
    (defaults,) = store.sql(f"SELECT DISTINCT {later_columns} FROM models").to_pylist()
    assert list(defaults.values()) == [1, 0, 0, "other_class", 0.0, 0.0]
    stitch_defaults = store.sql("SELECT DISTINCT stop, sender, train FROM stitches").to_pylist()
    assert stitch_defaults == [{"stop": "held_out", "sender": "network", "train": "stitcher"}]
    for digest in store.weights().values():
        store.get_weights(digest)
    job = store.last_job()
    assert job is not None
    assert job.job == "fixture"


def test_a_task_has_failed_for_good_if_its_last_failure_is_final_and_it_has_no_result(tmp_path: Path):
    store = Store.open(str(tmp_path), create=True)
    store.commit([model("lost", weights="0" * 64)], run="r", worker="w")  # its weights are not in the store
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    rows = [
        failure("final", final=True, at=late),
        failure("final", final=False, at=early),
        failure("tried again", final=True, at=early),
        failure("tried again", final=False, at=late),
        failure("m1>m2@block1", final=True),
        failure("lost", of="models", final=True),
    ]
    store.commit([*rows, stitch("m1", "m2")], run="r", worker="w")
    assert store.failed() == {"final"}
    assert store.done() == {"m1>m2@block1"}, "a model whose weights are lost is missing, not failed"
