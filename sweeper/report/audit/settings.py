"""The settings of networks, stitches and similarities: what a comparison never mixes.

They are the columns of a row that its spec (`sweeper.spec.records.task`) holds, except seeds. A setting that is added
to a spec is therefore added here. Each has a name of its own among those of a figure, as in `sweeper tables`: a setting
that a network shares with a stitch is called `train_...`.
"""

import dataclasses
from collections.abc import Collection

from sweeper.spec.records.rows import ModelRow, Row, SimilarityRow, StitchRow, fields
from sweeper.spec.records.task import Measure, Recipe, Train


def _of(row: type[Row], spec: type, also: Collection[str], without: Collection[str]) -> tuple[str, ...]:
    """The columns of a row that are fields of its spec: `also` those it has by another name, or has not spelt out."""
    spelt = {field.name for field in dataclasses.fields(spec)}.union(also).difference(without)
    return tuple(field.name for field in fields(row) if field.name in spelt)


_STITCHES = _of(StitchRow, Recipe, also={"max_steps"}, without={"seed", "steps"})
_SIMILARITIES = _of(SimilarityRow, Measure, also={"samples"}, without={"id", "a", "b", "cut_a", "cut_b"})
_NETWORKS = _of(
    ModelRow,
    Train,
    also={"dataset", "data_digest", "width", "steps", "schedule_steps", "frozen"},
    # A model's id, or a file of its own, would part every seed from the others; a row's `code` is Sweeper's version.
    without={"id", "data", "seed", "init", "weights", "code"},
)

# How a stitch or a similarity was made, by column: its name.
COMPARING = {
    "stitches": {column: "stitcher_options" if column == "options" else column for column in _STITCHES},
    "similarities": {
        column: {"options": "measure_options", "samples": "images"}.get(column, column) for column in _SIMILARITIES
    },
    "models": {},
}

# What a network is and how it was trained, by column: its name.
NETWORK = {column: f"train_{column}" if column in COMPARING["stitches"].values() else column for column in _NETWORKS}
