"""`schema` and `cuts`: what can be asked, from the cards."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from sweeper.errors import UsageError

from . import show

if TYPE_CHECKING:
    from sweeper.spec.cards.card import Option

Card = TypeVar("Card")


def schema() -> None:
    """Prints the JSON Schema of a job file."""
    from .schema import job_schema

    show.json(job_schema())


def cuts(model: str, overrides: Sequence[str], dataset: str, json: bool) -> None:
    """Lists an architecture's cuts: name, position, depth, the tensor's shape, operations before it."""
    from sweeper.spec.cards.archs import ARCHS
    from sweeper.spec.cards.datasets import DATASETS

    arch = _named("architecture", model, ARCHS)
    images = _named("data set", dataset, DATASETS)
    options = {name: option.default for name, option in arch.options.items()} | _options(arch.options, overrides)
    given = {name: value for name, value in options.items() if value is not None}
    if reason := arch.misfit(given, images.shape):
        raise UsageError(f"{model}: {reason}")
    network = arch.network(given, images.shape, images.classes)
    found = [
        {"name": cut.name, "position": cut.position, "depth": cut.depth, "shape": list(cut.shape), "cost": cut.flops}
        for cut in network.cuts
    ]
    if json:
        show.json({"model": model, "options": options, "cuts": found})
        return
    show.grid(tuple(found[0]), (list(cut.values()) for cut in found), ("position", "depth", "cost"))


def _options(known: "Mapping[str, Option]", overrides: Sequence[str]) -> dict[str, bool | int | float | str]:
    chosen: dict[str, bool | int | float | str] = {}
    for override in overrides:
        name, separator, text = override.partition("=")
        if not separator or name not in known:
            raise UsageError(f"{override!r}: give KEY=VALUE, with one of {', '.join(known)}")
        try:
            chosen[name] = text == "true" if known[name].type is bool else known[name].type(text)
        except ValueError:
            raise UsageError(f"{override!r}: {name} takes a {known[name].type.__name__}") from None
    return chosen


def _named(what: str, name: str, cards: Mapping[str, Card]) -> Card:
    if name in cards:
        return cards[name]
    from difflib import get_close_matches

    near = get_close_matches(name, cards, 1)
    raise UsageError(f"no {what} {name!r}; {f'did you mean {near[0]!r}?' if near else 'known are ' + ', '.join(cards)}")
