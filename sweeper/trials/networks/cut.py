"""The bottom and the top of a network at a cut: the stages up to the cut and the stages after it."""

from torch import nn

from sweeper.spec.cards.card import OUTPUT, Cut
from sweeper.spec.records.task import Model
from sweeper.trials.networks import network_cards
from sweeper.trials.networks.archs.staged import Staged, stages


def bottom(model: nn.Module, cut: str) -> nn.Module:
    """Return the stages up to and including a cut: they map images to the tensor at the cut.

    The result shares its modules with `model`, and `top(model, cut)(bottom(model, cut)(x))` equals `model(x)` bit for
    bit.

    Raises:
        KeyError: If `model` has no such stage.
    """
    names, at = _split(model, cut)
    return _part(model, names[: at + 1])


def top(model: nn.Module, cut: str) -> nn.Module:
    """Return the stages after a cut: they map the tensor at the cut to logits. After the output there is no stage.

    The result shares its modules with `model`.

    Raises:
        KeyError: If `model` has no such stage.
    """
    if cut == OUTPUT:
        return _part(model, [])
    names, at = _split(model, cut)
    return _part(model, names[at + 1 :])


def _split(model: nn.Module, cut: str) -> tuple[list[str], int]:
    names = list(stages(model))
    if cut not in names:
        raise KeyError(f"no stage {cut!r}; there are {', '.join(names)}")
    return names, names.index(cut)


def _part(model: nn.Module, names: list[str]) -> nn.Module:
    stage_by_name = stages(model)
    part = Staged({name: stage_by_name[name] for name in names})
    part.training = model.training  # not `part.train()`, which would change the shared modules
    return part


def cut_of(model: Model, name: str) -> Cut:
    """Return the cut of a model by its name, or its output, as the architecture's card describes it.

    Raises:
        KeyError: If the architecture has no cut of that name.
    """
    (*cuts, output) = network_cards.catalog().cuts_of(model.training)
    for cut in (*cuts, output):
        if cut.name == name:
            return cut
    raise KeyError(f"{model.training.arch} has no cut {name!r}; it has {', '.join(cut.name for cut in cuts)}")
