"""A measure by its name, and what became of a measurement."""

from dataclasses import dataclass, field

from sweeper.spec.cards.card import OptionValues
from sweeper.spec.cards.measures import MEASURES
from sweeper.spec.records.task import Measure
from sweeper.trials.process.builder import find
from sweeper.trials.similarity.measures.pair import Pair


@dataclass(eq=False, slots=True)
class Compared:
    """A measurement: its value, and those with B's images permuted; in `error` what it raised, and then nothing else
    counts."""

    measure: Measure
    value: float = 0.0
    null: list[float] = field(default_factory=list)
    seconds: float = 0.0
    error: Exception | None = None


def similarity(pair: Pair, measure: str, options: OptionValues) -> float:
    """A measure of two activations. One that is the same for all images is similar to nothing: 0."""
    card = MEASURES[measure]
    if card.compares == "activations" and (pair.x.still or pair.y.still):
        return 0.0
    return find(card.builder)(pair, **options)
