"""The settings of networks, stitches and similarities; a comparison never mixes two settings.

They are the columns of a row that are fields of its spec (`sweeper.spec.records.task`), except seeds, so a setting that
is added to a spec is included here. Names are unique within a figure, as in `sweeper tables`: if a network and a stitch
have a setting of the same name, the network's is called `train_...`.
"""

import dataclasses
from collections.abc import Collection

from sweeper.spec.records.rows import ModelRow, Row, SimilarityRow, StitchRow, fields
from sweeper.spec.records.task import Measurement, Recipe, TrainingRun


def _columns_of_spec(row: type[Row], spec: type, also: Collection[str], without: Collection[str]) -> tuple[str, ...]:
    """Return the columns of a row that are fields of its spec, plus `also` and minus `without`."""
    names = {field.name for field in dataclasses.fields(spec)}.union(also).difference(without)
    return tuple(field.name for field in fields(row) if field.name in names)


_STITCHES = _columns_of_spec(StitchRow, Recipe, also={"max_steps"}, without={"seed", "steps"})
_SIMILARITIES = _columns_of_spec(
    SimilarityRow, Measurement, also={"samples"}, without={"id", "a", "b", "cut_a", "cut_b"}
)
_NETWORKS = _columns_of_spec(
    ModelRow,
    TrainingRun,
    also={"dataset", "data_digest", "width", "steps", "schedule_steps", "frozen"},
    # A model's id or weights file would separate its seeds from each other; a row's `code` is Sweeper's version.
    without={"id", "data", "seed", "init", "weights", "code"},
)

# The name of each setting of a stitch or similarity, by its column.
COMPARING = {
    "stitches": {column: "stitcher_options" if column == "options" else column for column in _STITCHES},
    "similarities": {
        column: {"options": "measure_options", "samples": "images"}.get(column, column) for column in _SIMILARITIES
    },
    "models": {},
}

# The name of each setting of a network and its training, by its column.
NETWORK = {column: f"train_{column}" if column in COMPARING["stitches"].values() else column for column in _NETWORKS}
