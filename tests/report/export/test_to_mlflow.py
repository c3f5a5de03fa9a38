"""Tests of the export to MLflow, read by MLflow's own client."""

from datetime import UTC, datetime

import pytest

from sweeper.report.export.groups import Group, MetricPoint
from sweeper.report.export.to_mlflow import to_mlflow

pytest.importorskip("mlflow.store.db.utils", reason="mlflow is not installed: pip install 'sweeper-stitching[mlflow]'")

TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
POINTS = [MetricPoint("gain", 1.5, 1), MetricPoint("gain", 3.5, 5), MetricPoint("mean_gain", 2.5, 0)]
GROUP = Group("0123456789abcdef", "stitches", "A → B, conv1x1", {"a_samples": "300"}, POINTS, TIME, TIME)


def test_a_group_is_a_run_with_its_settings_and_metrics(tmp_path):
    from mlflow.tracking import MlflowClient

    command = to_mlflow([GROUP], tmp_path / "new", "toy", "runs/toy")
    address = f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"
    assert command == f"mlflow ui --backend-store-uri {address}"
    client = MlflowClient(address)
    experiment = client.get_experiment_by_name("toy").experiment_id
    [run] = client.search_runs([experiment])
    assert (run.info.run_name, run.info.status) == ("A → B, conv1x1", "FINISHED")
    assert run.info.start_time == 1000 * TIME.timestamp()
    assert run.data.params == {"a_samples": "300"}
    assert run.data.metrics == {"gain": 3.5, "mean_gain": 2.5}
    assert run.data.tags["sweeper.store"] == "runs/toy"
    history = client.get_metric_history(run.info.run_id, "gain")
    assert [(metric.step, metric.value) for metric in history] == [(1, 1.5), (5, 3.5)]

    to_mlflow([GROUP], tmp_path / "new", "toy", "runs/toy")
    assert len(client.search_runs([experiment])) == 1, "the run of an earlier export is replaced"
