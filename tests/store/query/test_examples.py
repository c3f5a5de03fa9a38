"""Outcomes on single images, unpacked by a view and joined by ids to what they are compared with."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.store_rows import model, stitch, weights_of

from sweeper.spec.records import ident
from sweeper.store.store import Store

RIGHT = {
    "a": [1, 1, 0, 0, 1, 1, 1, 0, 1, 1],
    "b": [1, 0, 0, 0, 1, 1, 0, 0, 1, 0],
    "stitched": [0, 1, 1, 0, 1, 1, 0, 0, 1, 1],
}
OWN = [1, 1, 0, 0, 1, 1, 0, 0, 1, 0]


def judged(right: list[int]) -> dict[str, object]:
    return {"correct": np.packbits(right).tobytes(), "test_error": 100 * (1 - sum(right) / len(right))}


def commit(store: Store, *rows) -> None:
    store.commit(rows, run="r", worker="w")


def known(store: Store, **given: object) -> str:
    """A stitch of two models on ten images, and B's self-stitch; the stitch's id."""
    for name in "ab":
        store.put_weights(weights_of(name))
    errors = {f"{side}_error": judged(RIGHT[side])["test_error"] for side in "ab"}
    commit(
        store, model("a", **judged(RIGHT["a"])), model("b", **judged(RIGHT["b"])),
        stitch("b", "b", gain=0.0, **judged(OWN)), stitch("a", "b", **{**judged(RIGHT["stitched"]), **errors, **given}),
    )  # fmt: skip
    return "a>b@block1"


def test_each_image_is_a_row(store: Store):
    task = known(store)
    columns = "image, correct, b_correct, a_correct, own_correct"
    rows = store.sql(f"SELECT {columns} FROM examples WHERE task = '{task}' ORDER BY image").to_pylist()
    assert [row["image"] for row in rows] == list(range(10))
    for name, right in (("correct", "stitched"), ("b_correct", "b"), ("a_correct", "a")):
        assert [row[name] for row in rows] == [bool(bit) for bit in RIGHT[right]]
    assert [row["own_correct"] for row in rows] == [bool(bit) for bit in OWN]
    fixed = store.sql(f"SELECT image FROM examples WHERE task = '{task}' AND correct AND NOT b_correct ORDER BY image")
    assert fixed["image"].to_pylist() == [1, 2, 9]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.booleans(), min_size=1, max_size=40).filter(any))
def test_any_number_of_images_comes_back(tmp_path_factory, right: list[bool]):
    store = Store.open(str(tmp_path_factory.mktemp("any") / "store"), create=True)
    commit(store, stitch("a", "b", **judged([int(bit) for bit in right])))
    assert store.sql("SELECT correct FROM examples ORDER BY image")["correct"].to_pylist() == right


def test_what_gets_nothing_right_has_bs_images(store: Store):
    task = known(store, **judged([0] * 10))
    assert store.sql(
        f"SELECT count(*) AS n, sum(correct::INT) AS right FROM examples WHERE task = '{task}'"
    ).to_pylist() == [{"n": 10, "right": 0}]


def test_outcomes_of_other_weights_are_not_shown(store: Store):
    task = known(store, b_weights=ident.digest(b"of an earlier training"))
    asked = f"SELECT DISTINCT b_correct, own_correct, a_correct IS NULL AS a FROM examples WHERE task = '{task}'"
    assert store.sql(asked).to_pylist() == [{"b_correct": None, "own_correct": None, "a": False}]


def test_only_a_jobs_stitches_are_unpacked(store: Store):
    task = known(store)
    assert store.sql("SELECT DISTINCT task FROM examples ORDER BY ALL")["task"].to_pylist() == [task, "b>b@block1"]
    assert store.sql("SELECT DISTINCT task FROM examples", only={task})["task"].to_pylist() == [task]


def test_an_empty_store_has_typed_examples(store: Store):
    found = store.sql("SELECT task, image, correct FROM examples")
    assert found.num_rows == 0
    assert [str(kind) for kind in found.schema.types] == ["string", "int64", "bool"]


@pytest.mark.parametrize("correct", [b"", b"\x00"])
def test_stitches_without_outcomes_have_no_examples(store: Store, correct: bytes):
    commit(store, stitch("a", "b", correct=correct, test_error=100.0))
    assert store.sql("SELECT * FROM examples").num_rows == 0


def test_bitmaps_are_read_where_they_are_asked_for_and_of_the_task_that_is_meant(store: Store):
    known(store)
    with store.connect() as con:
        ((_, plan),) = con.sql("EXPLAIN SELECT image FROM examples WHERE task = 'x' AND correct").fetchall()
        assert "Filters: \"task\" = 'x'" in plan[plan.index("Unnest") :]  # by the scan itself
        for query in ("SELECT avg(net_gain) FROM stitches", "SELECT * EXCLUDE correct FROM models"):
            ((_, plan),) = con.sql(f"EXPLAIN {query}").fetchall()
            assert "correct" not in plan


def test_the_interval_knows_a_stitchs_outcomes_by_its_columns(store: Store):
    """Two A and two B on 24 images: gain against B alone, net gain against the self-stitch."""
    rng = np.random.default_rng(0)
    bits = {name: rng.integers(0, 2, 24) for name in ("a1", "a2", "b1", "b2")}
    share = {name: 100 * (1 - right.mean()) for name, right in bits.items()}
    rows = [model(name, correct=np.packbits(right).tobytes(), test_error=share[name]) for name, right in bits.items()]
    for b in ("b1", "b2"):
        for a in ("a1", "a2", b):
            right = rng.integers(0, 2, 24)
            error = 100 * (1 - right.mean())
            given = {"test_error": error, "a_error": share[a], "b_error": share[b], "gain": share[b] - error}
            rows.append(stitch(a, b, correct=np.packbits(right).tobytes(), **given))
    for name in bits:
        store.put_weights(weights_of(name))
    commit(store, *rows)
    (found,) = store.sql("""
        SELECT ci(a, b, gain, correct, b_correct) AS gain, ci(a, b, net_gain, correct, own_correct) AS net,
            ci(a, b, net_gain, correct, b_correct) AS wrong, ci(a, b, gain) AS fixed
        FROM stitches WHERE a <> b""").to_pylist()
    assert (found["gain"]["images"], found["net"]["images"], found["wrong"]["images"]) == (24, 24, None)
    assert "add up" in found["wrong"]["note"]
    assert found["gain"]["se_images"] > 0
    assert found["gain"]["hi"] >= found["fixed"]["hi"]


def test_functions_leave_nothing_behind(store: Store):
    """Connections closed or not, queries answered or refused: Python's developer mode has nothing to complain of."""
    known(store)
    program = (
        "import sys; from sweeper.errors import QueryError; from sweeper.store.store import Store\n"
        "store = Store.open(sys.argv[1])\n"
        "query = 'SELECT ci(a, b, gain, correct, b_correct), trend(a, b, a_samples, gain) FROM stitches'\n"
        "store.sql(query)\n"
        "try: store.sql('SELECT ci(nothing) FROM stitches')\n"
        "except QueryError: pass\n"
        "left_open = store.connect(); left_open.sql(query).fetchall()\n"
    )
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", program, store.url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
