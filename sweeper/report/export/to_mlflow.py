"""The export of a store to MLflow: an experiment for each job, a run for each group of results."""

import logging
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from .groups import Group

MOST_METRICS = 1000  # of a request, by MLflow's limits


def to_mlflow(groups: Sequence[Group], folder: Path, experiment: str, source: str) -> str:
    """Write groups to the database `mlflow.db` in a folder, and return the command that shows them.

    A run of an earlier export of the same group is deleted, so that a running sweep may be exported again and again.

    Args:
        groups: The groups.
        folder: The folder; it is made.
        experiment: The name of the experiment.
        source: The store, a tag of every run.

    Raises:
        ImportError: MLflow is not installed.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import_module("mlflow.store.db.utils")  # it needs more than mlflow-skinny has
    client_class: Any = import_module("mlflow.tracking").MlflowClient
    for name in ("alembic", "mlflow"):  # they report each step of making a database
        logging.getLogger(name).setLevel(logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    address = f"sqlite:///{(folder / 'mlflow.db').absolute()}"
    client = client_class(tracking_uri=address)
    existing = client.get_experiment_by_name(experiment)
    artifacts = str((folder / "artifacts").absolute())
    id = existing.experiment_id if existing else client.create_experiment(experiment, artifacts)
    for group in groups:
        for old_run in client.search_runs([id], f"tags.`sweeper.group` = '{group.id}'"):
            client.delete_run(old_run.info.run_id)
        _write(client, id, group, source)
    return f"mlflow ui --backend-store-uri {address}"


def _write(client: Any, experiment: str, group: Group, source: str) -> None:
    """Write a run."""
    entities: Any = import_module("mlflow.entities")
    start, end = (round(1000 * time.timestamp()) for time in (group.start, group.end))
    tags = {"sweeper.group": group.id, "sweeper.kind": group.kind, "sweeper.store": source}
    run = client.create_run(experiment, start_time=start, run_name=group.name, tags=tags).info.run_id
    client.log_batch(run, params=[entities.Param(name, text) for name, text in group.parameters.items()])
    metrics = [entities.Metric(point.metric, point.value, end, point.step) for point in group.points]
    for first in range(0, len(metrics), MOST_METRICS):
        client.log_batch(run, metrics=metrics[first : first + MOST_METRICS])
    client.set_terminated(run, "FINISHED", end)
