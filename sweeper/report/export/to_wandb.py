"""The export of a store to Weights & Biases, offline: a project for each job, a run for each group of results.

Nothing is sent; `wandb sync` uploads the runs later.
"""

import shlex
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from .groups import Group


def to_wandb(groups: Sequence[Group], folder: Path, project: str, source: str) -> str:
    """Write groups as offline runs to the folder `wandb` in a folder, and return the command that uploads them.

    A run has the id of its group, so that uploading a later export replaces what an earlier one has uploaded.

    Args:
        groups: The groups.
        folder: The folder; it is made.
        project: The name of the project.
        source: The store, a part of every run's configuration.

    Raises:
        ImportError: wandb is not installed.
    """
    wandb: Any = import_module("wandb")
    folder.mkdir(parents=True, exist_ok=True)
    # Nothing about this machine, its code or its output is recorded: the results may come from elsewhere.
    settings = wandb.Settings(
        silent=True, console="off", disable_git=True, save_code=False, x_disable_stats=True, x_disable_meta=True
    )
    for group in groups:
        with wandb.init(
            mode="offline",
            project=project,
            dir=folder,
            id=group.id,
            name=group.name,
            job_type=group.kind,
            config={**group.parameters, "store": source, "finished_at": group.end.isoformat()},
            settings=settings,
        ) as run:
            _log(run, group)
    wandb.teardown()  # ends its own process
    return f"wandb sync {shlex.quote(str(folder / 'wandb'))}/offline-run-*"


def _log(run: Any, group: Group) -> None:
    """Log the points of a group, a step after the other, as W&B's steps may not fall."""
    values_by_step: dict[int, dict[str, float]] = {}
    for point in group.points:
        values_by_step.setdefault(point.step, {})[point.metric] = point.value
    for step, values in sorted(values_by_step.items()):
        run.log(values, step=step)
