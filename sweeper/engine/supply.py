"""What a run takes from this machine's files, looked at before anything starts: weights, which are put into the store,
for workers know no path of the driver's; and the code of a user's own stitchers.
"""

from pathlib import Path

import numpy as np

from sweeper.errors import StoreError, SweeperError
from sweeper.plan.graph import USE
from sweeper.plan.plan import Plan
from sweeper.spec.cards import user_stitchers
from sweeper.spec.content.weights import NONE
from sweeper.spec.records.ident import digest
from sweeper.spec.records.task import Recipe
from sweeper.store.store import Store


def supply(plan: Plan, store: Store) -> None:
    """Puts the files that missing models begin with under their digests, as they are; those that the store has already
    need not lie here any more.

    Raises SweeperError for a file that is in neither place, or is another one than the job was resolved with.
    """
    missing = (model for model, done in zip(plan.models, plan.model_done, strict=True) if not done)
    wanted = {model.training.weights for model in missing} - {NONE}
    for weights in plan.sweep.weights:
        if weights.digest in wanted and not _has(store, weights.digest):
            try:
                content = Path(weights.path).read_bytes()
            except OSError as error:
                raise SweeperError(
                    f"the store lacks the weights {weights.name}, and {weights.path} can't be read: {error.strerror}"
                ) from None
            if digest(content) != weights.digest:
                raise SweeperError(
                    f"{weights.path} changed since its job was resolved: `sweeper run JOB` takes it as it is"
                )
            store.put_weights(content)


def guard(plan: Plan) -> None:
    """Raises UsageError where the code of a stitcher that missing stitches need is not here, or another than was
    planned; runs none of it."""
    uses = {plan.graph.uses[use] for use in np.unique(plan.graph.rows[~plan.row_done, USE])}
    for use in uses:
        if isinstance(use, Recipe):
            user_stitchers.verify_code(use)


def _has(store: Store, digest: str) -> bool:
    try:
        store.get_weights(digest)
    except StoreError:
        return False
    return True
