"""Checks of the images and of the head of a family's networks."""

from collections.abc import Iterator

from sweeper.errors import DataError
from sweeper.spec.content.weights import NONE, is_file
from sweeper.spec.job.checks.family_findings import points_of_axes
from sweeper.spec.job.checks.finding import Finding, Keys, keys_to_value
from sweeper.spec.job.family import Family
from sweeper.spec.job.inputs import network_input
from sweeper.spec.job.sweep import PartlyResolvedSweep
from sweeper.spec.records.task import Data

INPUT_EXAMPLE = "give numbers: {size: 224, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}"


def input_findings(keys: Keys, family: Family, sweep: PartlyResolvedSweep, data: Data | None) -> Iterator[Finding]:
    """Yield the mistakes in the images that a family's networks take, and in their heads."""
    if family.input is not None and data is not None:
        yield from _images(keys, family, sweep, data)
    head_keys = (*keys, "head")
    if "probe" in family.head and family.steps is not None and 0 in family.steps:
        correction = "give steps or epochs for the probe; a stitch that needs no head takes `reset: head` and steps: 0"
        yield Finding(head_keys, "a probe is trained, and steps are 0", correction, needs=((*keys, "steps"),))
    if "probe" in family.head and "simclr" in family.objective:
        correction = "simclr trains a probe of its own after the network; leave head out"
        yield Finding(head_keys, "a probe trains on labels, and the objective is simclr", correction)


def _images(keys: Keys, family: Family, sweep: PartlyResolvedSweep, data: Data) -> Iterator[Finding]:
    input_keys, seen = (*keys, "input"), set()
    for point in points_of_axes(family, "input", "weights", "arch"):
        (i, value), (_, weights), (_, arch) = point["input"], point["weights"], point["arch"]
        try:
            network_input(value, data, weights, arch, sweep.weights)
        except DataError as error:
            from_weights = isinstance(value, str)
            if from_weights and weights != NONE and not is_file(weights):
                continue  # a set whose description comes with it
            if (i, str(error)) not in seen:
                seen.add((i, str(error)))
                correction = INPUT_EXAMPLE if from_weights else "give one number, or one for each channel, for both"
                needs = (("dataset",), (*keys, "weights"))
                yield Finding(keys_to_value(input_keys, family.input or (), i), str(error), correction, needs)
