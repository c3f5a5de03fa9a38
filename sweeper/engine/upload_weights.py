"""Checks of the driver's files before a run starts: weight files, and the code of the user's stitchers and networks.

Weights are put into the store, because workers may run on machines that cannot read the driver's files.
"""

from pathlib import Path

import numpy as np

from sweeper.errors import SweeperError, UsageError, WeightsError
from sweeper.plan.graph import OPERATION, A, B
from sweeper.plan.plan import Plan
from sweeper.spec.cards import user_stitchers
from sweeper.spec.content.weights import NONE
from sweeper.spec.records.ident import digest
from sweeper.spec.records.task import Recipe
from sweeper.spec.user_code.code import hash_network
from sweeper.store.store import Store


def upload_weights(plan: Plan, store: Store) -> None:
    """Put the weight files that missing models start from into the store, unchanged, under their digests.

    A file whose weights are already in the store may be missing.

    Raises:
        SweeperError: A file can't be read and its weights are not in the store, or it changed since the job was
            resolved.
    """
    missing = (model for model, done in zip(plan.models, plan.model_done, strict=True) if not done)
    needed_digests = {model.training.weights for model in missing} - {NONE}
    for weights in plan.sweep.weights:
        if weights.digest in needed_digests and not _has(store, weights.digest):
            try:
                content = Path(weights.path).read_bytes()
            except OSError as error:
                raise SweeperError(
                    f"the store lacks the weights {weights.name}, and {weights.path} can't be read: {error.strerror}"
                ) from None
            if digest(content) != weights.digest:
                raise SweeperError(
                    f"{weights.path} changed since the job was resolved; start the job again with `sweeper run JOB` "
                    "to use the new file"
                )
            store.put_weights(content)


def verify_stitchers(plan: Plan) -> None:
    """Check the code of every user stitcher that missing stitches need, without running it.

    Raises:
        UsageError: The code of a stitcher is missing, or it changed since the job was resolved.
    """
    operations = {plan.graph.operations[position] for position in np.unique(plan.graph.rows[~plan.row_done, OPERATION])}
    for operation in operations:
        if isinstance(operation, Recipe):
            user_stitchers.verify_stitcher_code(operation)


def verify_networks(plan: Plan) -> None:
    """Check the files of every user's network that missing tasks need, without running them.

    Raises:
        UsageError: A file, or a module beside it, is missing, or it changed since the job was resolved.
    """
    needed = {model.training for model, done in zip(plan.models, plan.model_done, strict=True) if not done}
    needed |= {plan.models[position].training for position in np.unique(plan.graph.rows[~plan.row_done][:, [A, B]])}
    for arch, where, code_digest in {(run.arch, run.where, run.code) for run in needed if run.where}:
        if hash_network(where, Path()).digest != code_digest:
            raise UsageError(
                f"{where.rpartition(':')[0]}, or a module beside it, is missing or changed since the job with {arch} "
                "was planned: `sweeper run JOB` takes it as it is"
            )


def _has(store: Store, digest: str) -> bool:
    try:
        store.get_weights(digest)
    except WeightsError:
        return False
    return True
