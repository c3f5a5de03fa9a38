"""Tests of the metrics of a run, read where Prometheus reads them: at the metrics port of a real Ray."""

import importlib.util
import re
import urllib.request

import pytest
import ray
from support.driver_process import until

from sweeper.engine.metrics import PERIOD, Metrics
from sweeper.engine.progress import Status
from sweeper.store.progress import NodeProgress

STATUS = Status(
    tasks=300, done=120, failed=3, blocked=1, running=4, settled=60, elapsed=30.0, left=None, starting=1, queued=7,
    nodes=(NodeProgress("box", 8, 4),),
)  # fmt: skip

WITH_METRICS = pytest.mark.skipif(
    importlib.util.find_spec("opencensus") is None, reason="ray[default] is not installed, so Ray exports no metrics"
)


def exported() -> dict[str, float]:
    """Return the values that this Ray exports, by the names and the tags of Sweeper."""
    [node] = ray.nodes()
    address = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    text = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=10).read().decode()
    values = {}
    for name, tags, value in re.findall(r"^ray_sweeper_(\w+)\{(.*)\} (\S+)$", text, flags=re.M):
        own_tags = dict(re.findall(r'(job|node)="([^"]*)"', tags))
        values[" ".join([name, *own_tags.values()])] = float(value)
    return values


@WITH_METRICS
def test_prometheus_can_read_the_numbers_of_a_run(ray_up):
    seconds = [0.0]
    metrics = Metrics("fixed", clock=lambda: seconds[0])
    for second in range(31):
        seconds[0] = float(second)
        metrics.show(STATUS)
    assert until(lambda: exported().get("tasks_done fixed") == 120, timeout=60)
    values = exported()
    assert values["tasks fixed"] == 300
    assert values["tasks_failed fixed"] == 3
    assert (values["packs_running fixed"], values["packs_starting fixed"], values["packs_queued fixed"]) == (4, 1, 7)
    assert values["tasks_per_second fixed"] == 2.0
    assert values["seconds_left fixed"] == -1
    assert values["seconds_per_task fixed"] == pytest.approx(4 * 30 / 60)
    assert (values["node_workers fixed box"], values["node_workers_running fixed box"]) == (8, 4)


@WITH_METRICS
def test_a_run_sets_its_gauges(toys):
    assert toys.run().outcome == "complete"
    assert until(lambda: exported().get("tasks toy") == 84, timeout=60)
    [places] = [value for name, value in exported().items() if name.startswith("node_workers toy ")]
    assert places == 2


def test_gauges_are_set_once_in_a_period_and_those_of_a_node_that_left_are_zero(monkeypatch):
    set_values: list[tuple[str, float, dict[str, str]]] = []

    class Gauge:
        def __init__(self, name: str, description: str, tag_keys: tuple[str, ...]):
            self.name = name

        def set(self, value: float, tags: dict[str, str]) -> None:
            set_values.append((self.name, value, tags))

    monkeypatch.setattr("sweeper.engine.metrics.Gauge", Gauge)
    seconds = [0.0]
    metrics = Metrics("toy", clock=lambda: seconds[0])
    metrics.show(STATUS)
    count = len(set_values)
    seconds[0] = PERIOD / 2
    metrics.show(STATUS)
    assert len(set_values) == count
    seconds[0] = 2 * PERIOD
    metrics.show(Status(tasks=1, done=1, failed=0, blocked=0, running=0, settled=0, elapsed=0.0, left=0.0))
    assert ("sweeper_node_workers_running", 0, {"job": "toy", "node": "box"}) in set_values[count:]
