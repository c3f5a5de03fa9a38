"""The evaluation of a measure by its name, and the result of a measurement."""

import math
from dataclasses import dataclass, field

from sweeper.spec.cards.card import OptionValues
from sweeper.spec.cards.measures import MEASURES
from sweeper.spec.records.task import Measurement
from sweeper.trials.process.builder import import_builder
from sweeper.trials.similarity.measures.pair import Pair


@dataclass(eq=False, slots=True)
class MeasurementResult:
    """The result of a measurement: the measure's value, and its values with B's images permuted (`null`).

    Where `error` is set the other fields have no meaning.
    """

    measurement: Measurement
    value: float = 0.0
    null: list[float] = field(default_factory=list)
    seconds: float = 0.0
    error: Exception | None = None


def similarity(pair: Pair, measure: str, options: OptionValues) -> float:
    """Return the value of a measure; 0 where an activation is the same for all images.

    Raises:
        FloatingPointError: If a value of an activation, or the measure's, is not a finite number.
    """
    card = MEASURES[measure]
    for network, activation in (("A", pair.a), ("B", pair.b)):
        activation.rescale_extremes()
        if activation.nonfinite_values:
            raise FloatingPointError(f"the activation of {network}: {activation.nonfinite_values}")
    if card.compares == "activations" and (pair.a.is_constant or pair.b.is_constant):
        return 0.0
    value = import_builder(card.builder)(pair, **options)
    if not math.isfinite(value):
        raise FloatingPointError(f"the value of {measure} is {value}, though the activations are finite")
    return value
