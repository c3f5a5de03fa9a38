"""Tests of the groups of results that become runs of experiment trackers."""

from collections.abc import Mapping

import pytest
from support import store_rows

from sweeper.report.export.groups import Group, result_groups
from sweeper.store.store import Store


@pytest.fixture
def store(tmp_path) -> Store:
    """Return a store with two seeds of a model on each side, stitched at two cuts, and each top with itself."""
    store = Store.open(str(tmp_path / "store"), create=True)
    rows = [
        store_rows.model(f"{name}{seed}", seed=seed, samples=samples, arch="net", width=4, test_error=error + seed)
        for name, samples, error in (("a", 300, 10.0), ("b", 100, 20.0))
        for seed in (0, 1)
    ]
    for model in rows:
        store.put_weights(store_rows.weights_of(model.task))
    for cut, position, gain in (("conv1", 1, 1.0), ("block2", 5, 3.0)):
        rows += [
            store_rows.stitch(a, b, cut, position_b=position, gain=gain + seed, direct_error=None, b_weights=f"w{b}")
            for seed, (a, b) in enumerate([("a0", "b0"), ("a1", "b1")])
        ]
        rows += [
            store_rows.stitch(b, b, cut, position_b=position, gain=0.5, a_weights=f"w{b}", b_weights=f"w{b}")
            for b in ("b0", "b1")
        ]
    rows += [store_rows.similarity("a0", "b0", measure="linear_cka", position_b=1, value=0.7)]
    store.commit(rows, run="r", worker="w")
    return store


def by_name(store: Store) -> Mapping[tuple[str, str], Group]:
    """Return the groups of a store by kind and name."""
    return {(group.kind, group.name): group for group in result_groups(store)}


def test_results_that_differ_only_in_seeds_are_one_group(store):
    found = by_name(store)
    a, b = "net width 4, 300 samples, 1 steps", "net width 4, 100 samples, 1 steps"
    assert set(found) == {
        ("models", a),
        ("models", b),
        ("stitches", f"{a} → {b}, x"),
        ("stitches", f"{b} → itself, x"),
        ("similarities", f"{a} → {b}, linear_cka"),
    }
    model = found["models", a]
    assert model.parameters["samples"] == "300"
    assert "seed" not in model.parameters
    points = {point.metric: point.value for point in model.points}
    assert (points["test_error"], points["count"]) == (10.5, 2)


def test_metrics_of_stitches_are_means_over_seeds_at_each_cut(store):
    [group] = [group for (kind, name), group in by_name(store).items() if kind == "stitches" and "itself" not in name]
    points = {(point.metric, point.step): point.value for point in group.points}
    assert (points["gain", 1], points["gain", 5], points["mean_gain", 0]) == (1.5, 3.5, 2.5)
    assert (points["net_gain", 1], points["net_gain", 5], points["mean_net_gain", 0]) == (1.0, 3.0, 2.0)
    assert points["count", 0] == 4
    assert not any(metric == "direct_error" for metric, _ in points), "what no stitch has is left out"
    assert (group.parameters["a_samples"], group.parameters["b_samples"]) == ("300", "100")


def test_a_measure_is_a_metric_of_its_own_name(store):
    [group] = [group for (kind, _), group in by_name(store).items() if kind == "similarities"]
    assert [(point.metric, point.value, point.step) for point in group.points] == [
        ("linear_cka", 0.7, 1),
        ("count", 1, 0),
    ]


def test_a_group_keeps_its_id_when_results_are_added_and_tasks_can_be_selected(store):
    ids = {group.name: group.id for group in result_groups(store)}
    store.commit([store_rows.model("a2", seed=2, samples=300, arch="net", width=4)], run="r", worker="w")
    assert {group.name: group.id for group in result_groups(store)} == ids
    [only] = result_groups(store, ["b0"])
    assert (only.kind, only.parameters["samples"]) == ("models", "100")
