"""Controls: the stitches of each top into itself, which verdicts compare other stitches with."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sweeper.spec.records.task import Recipe

from .graph import CUT_A, CUT_B, OPERATION, A, B
from .plan import Plan


def lacks_control(plan: Plan) -> NDArray[np.bool_]:
    """Return True for each stitch of a plan whose control is not in the job, in the order of the plan's rows.

    A control has the same top, cut of the top and recipe as the stitch, and its bottom is the top, cut at the same
    place. Its stitcher always reads the top's own activation, whatever the stitch reads (`sender`). Stitches that
    replace the top need none.
    """
    rows = plan.graph.rows[plan.is_stitch]
    operations = plan.graph.operations
    position = {operation: i for i, operation in enumerate(operations)}
    controlling = np.array(
        [
            position.get(replace(operation, sender="network"), -1) if isinstance(operation, Recipe) else -1
            for operation in operations
        ],
        np.int64,
    )
    replaces_top = plan.graph.row_mask(
        lambda operation: isinstance(operation, Recipe) and plan.catalog.stitcher(operation.stitcher).replaces_top, rows
    )
    needed = np.column_stack([rows[:, B], rows[:, CUT_B], controlling[rows[:, OPERATION]]])
    is_control = (rows[:, A] == rows[:, B]) & (rows[:, CUT_A] == rows[:, CUT_B])
    controls = {tuple(row) for row in rows[is_control][:, [B, CUT_B, OPERATION]].tolist()}
    distinct, inverse = np.unique(needed, axis=0, return_inverse=True)
    lacking = np.array([tuple(row) not in controls for row in distinct.tolist()], bool)
    return lacking[inverse.reshape(-1)] & ~replaces_top
