"""Models with several weights, and tasks with several rows whose results differ."""

from support.store_rows import model, put_part, stitch, weights_of

from sweeper.store.care.repeated_rows import find_mixes, find_repeats
from sweeper.store.parts.schema import to_table
from sweeper.store.store import Store


def fill(store: Store) -> None:
    """Store a model twice with other weights, and a stitch with each."""
    digests = [store.put_weights(weights_of(name)) for name in ("m1", "m1 again")]
    for attempt, digest in enumerate(digests):
        store.commit([model("m1", weights=digest, attempt=attempt)], run=f"r{attempt}", worker="w")
        pair = stitch("m1", "m1", cut=f"block{attempt}", a_weights=digest, b_weights=digest)
        store.commit([pair], run="r", worker="w")


def test_a_model_with_two_weights_is_a_mix_with_the_results_that_used_the_other(store: Store):
    fill(store)
    assert find_mixes(store) == [("m1", 2, 2)], "the second stitch names the other weights as A's and as B's"


def test_a_model_that_others_used_with_weights_that_no_row_has_is_a_mix(store: Store):
    store.commit([model("m1"), model("m2", init="m1", init_weights="f" * 64)], run="r", worker="w")
    assert find_mixes(store) == [("m1", 1, 1)]


def test_a_store_without_repetition_has_neither(store: Store):
    store.commit([model("m1"), stitch("m1", "m1")], run="r", worker="w")
    assert find_mixes(store) == find_repeats(store) == []


def test_a_task_with_two_results_is_counted_and_one_with_the_same_result_twice_is_not(store: Store):
    for attempt in (0, 1):
        rows = [stitch("m1", "m1", attempt=attempt, seconds=attempt), stitch("m1", "m2", attempt=attempt, gain=attempt)]
        store.commit(rows, run="r", worker="w")
    assert find_repeats(store) == [("stitches", 1, "m1>m2@block1")]


def test_a_row_without_a_later_column_has_the_same_result_as_one_with_its_default(store: Store):
    rows = [stitch("m1", "m1")]
    put_part(store, to_table(rows).drop_columns(["sender"]))
    store.commit(rows, run="r", worker="w")
    assert find_repeats(store) == []
