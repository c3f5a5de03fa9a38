"""The half-widths of intervals that a plan's contrasts with few training runs are expected to have."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sweeper.plan.few_runs import ContrastModels, PlannedContrast, named_contrasts

from . import places

if TYPE_CHECKING:
    from sweeper.plan.plan import Plan

LEVEL = 0.95

# The parts of the variance of the mean net gain over the cuts at depth 0.5 and more, as in the tables, for each
# contrast and each setting of its stitches. `planned_models` has the models of both sides of the contrasts.
_VARIANCES = """
WITH stitched AS (
    SELECT
        bottom.contrast, am.draw AS a, bm.draw AS b, s.cut_b AS cut, s.depth_b AS depth,
        s.affine_top, s.probe_only, s.same_as, s.net_gain, s.correct, s.own_correct,
        {
            stitcher: s.stitcher, options: s.options, protocol: s.protocol, data: s.data, max_steps: s.max_steps,
            batch: s.batch, lr: s.lr, augment: s.augment, stop: s.stop, train: s.train
        } AS stitching
    FROM stitches AS s
    JOIN planned_models AS bottom ON bottom.task = s.a AND bottom.side = 'a'
    JOIN planned_models AS top ON top.task = s.b AND top.side = 'b' AND top.contrast = bottom.contrast
    JOIN models AS am ON am.task = s.a
    JOIN models AS bm ON bm.task = s.b
    WHERE s.a <> s.b AND NOT s.same_run AND s.cut_a = s.cut_b AND s.sender = 'network'
),
counted AS (
    SELECT *
    FROM stitched
    QUALIFY
        cut_kind({contrast: contrast, stitching: stitching}, cut, depth, affine_top, probe_only, same_as) IS NULL
        AND depth >= 0.5
)
SELECT contrast, ci(a, b, net_gain, correct, own_correct) AS net
FROM counted
GROUP BY contrast, stitching
"""


def expected_half_widths(plan: "Plan", store: str) -> dict[str, float]:
    """Return the expected half-width of the 95 % interval of a contrast with all of its planned runs, by its label.

    It is known of the contrasts that a warning names and that have stitches between at least two training runs on each
    side in the store. Of several contrasts of one label, and several settings of stitches, it is the largest.
    """
    named = named_contrasts(plan)
    if not named or not places.exists(store):
        return {}
    half_widths: dict[str, float] = {}
    for row in _stored_variances(named, store):
        contrast = named[row["contrast"]].contrast
        if row["net"]["variances"]:
            half_width = _half_width(contrast, row["net"])
            half_widths[contrast.label] = max(half_widths.get(contrast.label, 0.0), half_width)
    return half_widths


def _stored_variances(named: Sequence[ContrastModels], store: str) -> list[dict[str, Any]]:
    """Return the number of each contrast with an interval of its net gain."""
    columns = zip(*_planned_models(named), strict=True)
    planned_models = pa.table(dict(zip(("contrast", "side", "task"), map(list, columns), strict=True)))
    with places.opened(store) as opened_store:

        def read() -> pa.Table:
            with opened_store.connect() as con:
                con.register("planned_models", planned_models)
                return con.sql(_VARIANCES).to_arrow_table()

        return opened_store.retried(read).to_pylist()


def _planned_models(named: Sequence[ContrastModels]) -> Iterator[tuple[int, str, str]]:
    """Yield the number of the contrast, the side and the id of each model."""
    for number, models in enumerate(named):
        yield from ((number, "a", task) for task in models.a)
        yield from ((number, "b", task) for task in models.b)


def _half_width(contrast: PlannedContrast, net: Mapping[str, Any]) -> float:
    """Return the half-width that is expected with the planned runs, from the interval with the stored ones."""
    from sweeper.store.statistics.runs_needed import Parts, expected_half_width

    parts = Parts(net["variances"], net["degrees"], net["images"] is not None)
    more_a, more_b = contrast.runs_a - net["n_a"], contrast.runs_b - net["n_b"]
    if list(parts.degrees[:2]) == [net["n_b"] - 1, net["n_a"] - 1]:  # no run is on both sides: B comes first
        return expected_half_width(parts, (more_b, more_a), LEVEL)
    return expected_half_width(parts, min(more_a, more_b), LEVEL)
