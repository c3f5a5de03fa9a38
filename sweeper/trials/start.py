"""Where a training run begins: a random initialisation, or weights of another model or of a file; and what of it
stays."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from sweeper.errors import NetworkError
from sweeper.spec import code
from sweeper.spec.cards.probed import is_external
from sweeper.spec.task import Train
from sweeper.spec.weights import NONE
from sweeper.trials.archs import build
from sweeper.trials.fold import freeze
from sweeper.trials.weights import fill, from_bytes, read


def start(training: Train, load: Callable[[], bytes]) -> nn.Module:
    """The network of a run before its first step: on the CPU, in train mode but for what is frozen.

    `load` gives the weights of `training.init`, or the file whose digest `training.weights` is, and is asked only where
    there is one. Raises NetworkError for weights that aren't the network's. Frozen stages stay what they are here to
    the bit: their weights get no gradient, and their norms are in eval mode and keep their statistics.
    """
    guard(training)
    network = build(training.arch, training.options, training.data.shape, training.classes, seed=training.seed)
    if training.init or training.weights != NONE:
        given = dict(from_bytes(load()) if training.init else _of_file(training, load()))
        fill(network, with_new_ends(network, given) if training.reset == "ends" else given)
    for name in training.freeze:
        freeze(network.get_submodule(f"stages.{name}"))
    return network


def guard(training: Train) -> None:
    """Raises NetworkError where the user's code is another than was trusted: the model would stand under a wrong id."""
    if training.code != code.NONE and code.of(training.arch).digest != training.code:
        raise NetworkError(f"the module of {training.arch} is not here, or changed since its job was loaded")


def _of_file(training: Train, content: bytes) -> Mapping[str, Tensor]:
    """Weights under the names that they have in a store. A file has them under these (it comes from a store), or a
    network from elsewhere has names of its own."""
    state = read(content)
    if not is_external(training.arch) or all(name.startswith("stages.") for name in state):
        return state
    from sweeper.trials.external.build import build as external  # which is made of this room's parts

    data = training.data
    return external(training.arch, data.shape, training.classes, training.seed, state).state_dict()


def with_new_ends(fresh: nn.Module, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of which the first and the last layer are those of a freshly drawn network: the "random" bottom of the
    authors' code (Bansal et al. 2021). Norms and their statistics are the given ones."""
    kinds = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear
    layers = [name for name, module in fresh.named_modules() if isinstance(module, kinds)]
    ends = (f"{layers[0]}.", f"{layers[-1]}.")
    drawn = {name: tensor.detach() for name, tensor in fresh.state_dict().items() if name.startswith(ends)}
    return {**given, **drawn}
