"""Checks of the settings that a job gives to a network in a user's file: its arguments."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from sweeper.spec.cards.user_networks import UserNetwork
from sweeper.spec.job.checks.finding import Finding, Keys, keys_to_value
from sweeper.spec.job.section import Scalar


def argument_findings(
    keys: Keys, values_by_setting: Mapping[str, Sequence[Scalar]], network: UserNetwork, family_keys: Sequence[str]
) -> Iterator[Finding]:
    """Yield the mistakes in the settings of a network: unknown and missing arguments, and values of other types.

    Args:
        keys: The keys that lead to the family.
        values_by_setting: Values by setting, as the job gives them.
        network: The network with its arguments.
        family_keys: The keys of a family that are not settings of its architecture.
    """
    needs = ((*keys, "arch"),)
    for name, values in values_by_setting.items():
        for i, value in enumerate(values):
            for _, problem, correction in network.problems({name: value}, family_keys, complete=False):
                of_key = not network.takes(name)
                place = (*keys, name) if of_key else keys_to_value((*keys, name), values, i)
                yield Finding(place, problem, correction, needs, of_key)
    for finding in _missing(keys, values_by_setting, network, family_keys):
        yield replace(finding, needs=needs)


def _missing(
    keys: Keys, values_by_setting: Mapping[str, Sequence[Scalar]], network: UserNetwork, family_keys: Sequence[str]
) -> Iterator[Finding]:
    for argument in network.arguments:
        if argument.required and argument.name not in values_by_setting:
            problem, correction = network.missing(argument)
            if argument.name in family_keys:
                correction = f"'{argument.name}' is a key of every family: rename the argument, or give it a default"
            yield Finding(keys, problem, correction)
