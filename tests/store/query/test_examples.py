"""The view of outcomes on single test images, with those of the networks that a stitch is compared with."""

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.store_rows import model, stitch, weights_of

from sweeper.spec.records import ident
from sweeper.spec.records.rows import Row
from sweeper.store.store import Store

# 1 if the network classifies an image right, 0 if not, for ten images.
OUTCOMES = {
    "a": [1, 1, 0, 0, 1, 1, 1, 0, 1, 1],
    "b": [1, 0, 0, 0, 1, 1, 0, 0, 1, 0],
    "stitched": [0, 1, 1, 0, 1, 1, 0, 0, 1, 1],
}
SELF_STITCH_OUTCOMES = [1, 1, 0, 0, 1, 1, 0, 0, 1, 0]


def outcome_fields(right: list[int]) -> dict[str, Any]:
    """Return the fields of a row that follow from the outcomes on single images."""
    return {"correct": np.packbits(right).tobytes(), "test_error": 100 * (1 - sum(right) / len(right))}


def commit(store: Store, *rows) -> None:
    """Commit rows as those of one run and worker."""
    store.commit(rows, run="r", worker="w")


def commit_stitch(store: Store, **fields: Any) -> str:
    """Commit two models, a stitch with outcomes on ten images and B's self-stitch, and return the stitch's id."""
    for name in "ab":
        store.put_weights(weights_of(name))
    errors = {f"{side}_error": outcome_fields(OUTCOMES[side])["test_error"] for side in "ab"}
    commit(
        store,
        model("a", **outcome_fields(OUTCOMES["a"])),
        model("b", **outcome_fields(OUTCOMES["b"])),
        stitch("b", "b", gain=0.0, **outcome_fields(SELF_STITCH_OUTCOMES)),
        stitch("a", "b", **{**outcome_fields(OUTCOMES["stitched"]), **errors, **fields}),
    )
    return "a>b@block1"


def test_each_image_of_a_stitch_is_a_row(store: Store):
    task = commit_stitch(store)
    columns = "image, correct, b_correct, a_correct, own_correct"
    rows = store.sql(f"SELECT {columns} FROM examples WHERE task = '{task}' ORDER BY image").to_pylist()
    assert [row["image"] for row in rows] == list(range(10))
    for column, network in (("correct", "stitched"), ("b_correct", "b"), ("a_correct", "a")):
        assert [row[column] for row in rows] == [bool(bit) for bit in OUTCOMES[network]]
    assert [row["own_correct"] for row in rows] == [bool(bit) for bit in SELF_STITCH_OUTCOMES]
    query = f"SELECT image FROM examples WHERE task = '{task}' AND correct AND NOT b_correct ORDER BY image"
    assert store.sql(query)["image"].to_pylist() == [1, 2, 9]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.booleans(), min_size=1, max_size=40).filter(any))
def test_outcomes_on_any_number_of_images_are_unpacked(tmp_path_factory, right: list[bool]):
    store = Store.open(str(tmp_path_factory.mktemp("any") / "store"), create=True)
    commit(store, stitch("a", "b", **outcome_fields([int(bit) for bit in right])))
    assert store.sql("SELECT correct FROM examples ORDER BY image")["correct"].to_pylist() == right


def test_a_stitch_that_classifies_no_image_right_has_as_many_images_as_b(store: Store):
    task = commit_stitch(store, **outcome_fields([0] * 10))
    assert store.sql(
        f"SELECT count(*) AS n, sum(correct::INT) AS right FROM examples WHERE task = '{task}'"
    ).to_pylist() == [{"n": 10, "right": 0}]


def test_outcomes_of_models_with_other_weights_are_null(store: Store):
    task = commit_stitch(store, b_weights=ident.digest(b"of an earlier training"))
    query = f"SELECT DISTINCT b_correct, own_correct, a_correct IS NULL AS a FROM examples WHERE task = '{task}'"
    assert store.sql(query).to_pylist() == [{"b_correct": None, "own_correct": None, "a": False}]


def test_only_restricts_the_examples_to_given_stitches(store: Store):
    task = commit_stitch(store)
    assert store.sql("SELECT DISTINCT task FROM examples ORDER BY ALL")["task"].to_pylist() == [task, "b>b@block1"]
    assert store.sql("SELECT DISTINCT task FROM examples", only={task})["task"].to_pylist() == [task]


def test_the_examples_of_an_empty_store_have_typed_columns(store: Store):
    table = store.sql("SELECT task, image, correct FROM examples")
    assert table.num_rows == 0
    assert [str(kind) for kind in table.schema.types] == ["string", "int64", "bool"]


@pytest.mark.parametrize("correct", [b"", b"\x00"])
def test_stitches_without_outcomes_have_no_examples(store: Store, correct: bytes):
    commit(store, stitch("a", "b", correct=correct, test_error=100.0))
    assert store.sql("SELECT * FROM examples").num_rows == 0


def test_outcomes_are_read_only_if_a_query_needs_them_and_only_for_the_selected_task(store: Store):
    commit_stitch(store)
    with store.connect() as con:
        (task,) = con.sql("SELECT task FROM stitches ORDER BY task").fetchall()[0]
        ((_, plan),) = con.sql(f"EXPLAIN SELECT image FROM examples WHERE task = '{task}' AND correct").fetchall()
        scan = plan[plan.index("Unnest") :]
        assert re.search(rf"Filters:[^:]*task[^:]*= '{task}'", scan), "the scan filters before it unpacks"
        for query in ("SELECT avg(net_gain) FROM stitches", "SELECT * EXCLUDE correct FROM models"):
            ((_, plan),) = con.sql(f"EXPLAIN {query}").fetchall()
            assert "correct" not in plan


def test_intervals_take_the_outcomes_of_the_stitches_view(store: Store):
    """The interval of the gain takes the outcomes of B alone, that of the net gain those of the self-stitch."""
    rng = np.random.default_rng(0)
    bits = {name: rng.integers(0, 2, 24) for name in ("a1", "a2", "b1", "b2")}
    error_by_model = {name: 100 * (1 - right.mean()) for name, right in bits.items()}
    rows: list[Row] = [
        model(name, correct=np.packbits(right).tobytes(), test_error=error_by_model[name])
        for name, right in bits.items()
    ]
    for b in ("b1", "b2"):
        for a in ("a1", "a2", b):
            right = rng.integers(0, 2, 24)
            error = 100 * (1 - right.mean())
            fields = {
                "test_error": error,
                "a_error": error_by_model[a],
                "b_error": error_by_model[b],
                "gain": error_by_model[b] - error,
            }
            rows.append(stitch(a, b, correct=np.packbits(right).tobytes(), **fields))
    for name in bits:
        store.put_weights(weights_of(name))
    commit(store, *rows)
    (intervals,) = store.sql("""
        SELECT ci(a, b, gain, correct, b_correct) AS gain, ci(a, b, net_gain, correct, own_correct) AS net,
            ci(a, b, net_gain, correct, b_correct) AS mismatched, ci(a, b, gain) AS fixed
        FROM stitches WHERE a <> b""").to_pylist()
    assert (intervals["gain"]["images"], intervals["net"]["images"], intervals["mismatched"]["images"]) == (
        24,
        24,
        None,
    )
    assert "add up" in intervals["mismatched"]["note"]
    assert intervals["gain"]["se_images"] > 0
    assert intervals["gain"]["hi"] >= intervals["fixed"]["hi"]


def test_connections_and_functions_cause_no_warning_in_developer_mode(store: Store):
    """This holds for connections that are closed or left open, and for queries that succeed or fail."""
    commit_stitch(store)
    program = (
        "import sys; from sweeper.errors import QueryError; from sweeper.store.store import Store\n"
        "store = Store.open(sys.argv[1])\n"
        "query = 'SELECT ci(a, b, gain, correct, b_correct), trend(a, b, a_samples, gain) FROM stitches'\n"
        "store.sql(query)\n"
        "try: store.sql('SELECT ci(nothing) FROM stitches')\n"
        "except QueryError: pass\n"
        "open_connection = store.connect(); open_connection.sql(query).fetchall()\n"
    )
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", program, store.url]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
