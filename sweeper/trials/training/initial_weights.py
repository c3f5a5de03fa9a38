"""The network at step 0 of a training run.

Its weights are a random initialisation, those of another model, or those of a file; some of its stages may be frozen.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from sweeper.errors import NetworkError
from sweeper.spec.cards.probed import is_external
from sweeper.spec.content.weights import NONE
from sweeper.spec.records.ident import digest
from sweeper.spec.records.task import TrainingRun
from sweeper.spec.user_code import code
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.fold import freeze
from sweeper.trials.networks.heads import LAYERS, freeze_all_but_head
from sweeper.trials.networks.state_dicts import fill, from_bytes, has_store_names
from sweeper.trials.networks.weight_files import read_state_dict


def start(training: TrainingRun, load: Callable[[], bytes]) -> nn.Module:
    """Return the network of a run before its first step, on the CPU, in train mode except for frozen stages.

    Training leaves frozen stages unchanged, bit for bit: their weights get no gradient, and their norms are in eval
    mode and keep their statistics.

    Args:
        training: The run.
        load: Returns the weights of the model `training.init`, or the content of the file with the digest
            `training.weights`; called only where the run has one of these.

    Raises:
        NetworkError: If the weights don't fit the network, or the user's module of the network has changed.
    """
    verify_network_code(training)
    network = build(training.builder, training.options, training.image, training.classes, seed=training.seed)
    if training.init or training.weights != NONE:
        state = dict(from_bytes(load()) if training.init else _state_of_file(training, load()))
        state = with_new_ends(network, state, training.reset, _seed_of_ends(training))
        fill(network, state, new_head=training.reset == "head")
    for name in training.freeze:
        freeze(network.get_submodule(f"stages.{name}"))
    if training.head == "probe":
        freeze_all_but_head(network)
    if training.steps and not any(weights.requires_grad for weights in network.parameters()):
        raise NetworkError(
            f"all parameters of {training.arch} are frozen, so nothing can be trained: "
            "leave requires_grad of some parameters at True, or give steps: 0"
        )
    return network


def verify_network_code(training: TrainingRun) -> None:
    """Check that a user's module still has the digest in the run's id.

    Raises:
        NetworkError: If it has not: the model would be stored under a wrong id.
    """
    if training.code == code.NONE or code.hash_network(training.builder, Path()).digest == training.code:
        return
    place = f"file {training.where.rpartition(':')[0]}" if training.where else "module"
    raise NetworkError(f"the {place} of {training.arch} is missing, or it changed after the job was loaded")


def _state_of_file(training: TrainingRun, content: bytes) -> Mapping[str, Tensor]:
    """Return a file's weights under the names that a store uses.

    A file that was exported from a store has these names already; one of an external network has the names of its
    original modules.
    """
    try:
        state = read_state_dict(content)
    except NetworkError as error:
        raise NetworkError(f"the file of weights is {error}") from None
    if not is_external(training.arch) or has_store_names(state):
        return state
    # Deferred, as that module imports `sweeper.trials.networks.archs`.
    from sweeper.trials.networks.traced.staged_network import build_traced_network

    new_head = training.reset == "head"
    return build_traced_network(
        training.builder, training.image, training.classes, training.seed, state, training.options, new_head
    ).state_dict()


def _seed_of_ends(training: TrainingRun) -> int:
    """Return the seed of the draws of `ends_torch`, which differs from that of the initialisation.

    A model of `init_from` mostly has the run's seed, so with the run's seed the new layers would depend on the random
    numbers that the model's own training started from.
    """
    return int(digest(f"new ends {training.seed}".encode())[:15], 16)


def with_new_ends(fresh: nn.Module, trained: dict[str, Tensor], reset: str, seed: int) -> dict[str, Tensor]:
    """Return trained weights with the first and the last layer drawn again; norms and their statistics are kept.

    With `ends` they are those of the newly initialised network; if the trained network has the same seed, these are the
    weights that its own training started from. With `ends_torch` they are drawn by
    `reset_parameters()`, as in the code of Bansal et al. 2021 for its "random" bottom: uniform, weights and biases with
    variance 1 / (3 fan_in), where the architectures here have 2 / fan_in (convolutions), 1 / fan_in (the last layer)
    and biases of 0.

    Args:
        fresh: The newly initialised network; `ends_torch` draws its two layers again, in place.
        trained: The state dict of the trained network, of the same architecture.
        reset: As in `TrainingRun`.
        seed: The seed of the draws of `ends_torch`.

    Raises:
        NetworkError: The network has no convolution and no linear layer.
    """
    if reset not in ("ends", "ends_torch"):
        return trained
    layers = {name: module for name, module in fresh.named_modules() if isinstance(module, LAYERS)}
    if not layers:
        raise NetworkError(f"reset: {reset} draws a convolution or linear layer again, and the network has none")
    names = list(layers)
    first_and_last = (names[0], names[-1])
    if reset == "ends_torch":
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            for name in dict.fromkeys(first_and_last):
                layers[name].reset_parameters()
    ends = tuple(f"{name}." for name in first_and_last)
    new_ends = {name: tensor.detach() for name, tensor in fresh.state_dict().items() if name.startswith(ends)}
    return {**trained, **new_ends}
