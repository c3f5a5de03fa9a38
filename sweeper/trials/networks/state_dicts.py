"""Weights as safetensors bytes, and their loading into a network.

The same weights give the same bytes, and so the same digest.
"""

from collections.abc import Mapping

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from sweeper.errors import NetworkError
from sweeper.spec.cards.shapes import format_shape
from sweeper.trials.networks.heads import without_head
from sweeper.trials.networks.weight_files import MOST_KEYS, listing


def to_bytes(network: nn.Module) -> bytes:
    """Return weights and buffers, including norms' running statistics, as bytes; device and memory layout don't matter.

    Weights that a network uses in two places are written twice, as safetensors refuses tensors that share memory.
    """
    tensors: dict[str, Tensor] = {}
    addresses: set[int] = set()
    for name, tensor in sorted(network.state_dict().items()):
        contiguous = tensor.cpu().contiguous()
        address = contiguous.untyped_storage().data_ptr()
        tensors[name] = contiguous.clone() if address in addresses else contiguous
        addresses.add(address)
    return save(tensors)


def from_bytes(blob: bytes) -> Mapping[str, Tensor]:
    """Return the state dict that `to_bytes` wrote.

    Raises:
        safetensors.SafetensorError: The bytes are anything else.
    """
    return load(blob)


def fill(network: nn.Module, state: Mapping[str, Tensor], new_head: bool = False) -> None:
    """Load a state dict into a network; with `new_head`, as `fitted` does.

    A prefix of all names that a wrapper has added, such as `module.` or `model.`, is left out. Tensors of any
    floating-point type are converted to the network's.

    Raises:
        NetworkError: If names, shapes or types differ, or a value isn't a finite number; the message names them.
    """
    network.load_state_dict(fitted(network, state, new_head))


def fitted(network: nn.Module, state: Mapping[str, Tensor], new_head: bool = False) -> dict[str, Tensor]:
    """Return a state dict under the names of a network, with its shapes and types.

    With `new_head`, the head is that of the network. The state dict may lack it, or have others beside the network's
    layers, such as the projection heads and prototypes with which networks are trained without labels.

    Raises:
        NetworkError: As `fill`.
    """
    whole = target = network.state_dict()
    if new_head:
        target = without_head(network, target)
    state = _without_prefix(target, state)
    if new_head:
        parts = {name.partition(".")[0] for name in whole}
        state = {name: x for name, x in without_head(network, state).items() if name.partition(".")[0] in parts}
    # Files older than torch 0.4.1 lack these counts of batches; torch's own loader fills them in, too.
    counts = {name: target[name] for name in target.keys() - state.keys() if name.endswith("num_batches_tracked")}
    state = {**state, **counts}
    _refuse_mismatches(target, state)
    converted = {name: tensor.to(target[name].dtype) for name, tensor in state.items()}
    for name, tensor in converted.items():
        # Infinities that the network itself has in a table, such as the mask of an attention, stay.
        wrong = ~torch.isfinite(tensor) & (tensor != target[name])
        if wrong.any():
            counted = f"{int(wrong.sum())} of {wrong.numel()} values"
            raise NetworkError(
                f"in {name} {counted} are not finite numbers (NaN or infinite); "
                "give a checkpoint from before the training diverged"
            )
    return {**whole, **converted}


def fits(network: nn.Module, state: Mapping[str, Tensor], new_head: bool = False) -> bool:
    """Return True if a state dict can be loaded into a network; see `fill`."""
    try:
        return bool(fitted(network, state, new_head))
    except NetworkError:
        return False


def has_store_names(state: Mapping[str, Tensor]) -> bool:
    """Return True if a state dict has the names that a store uses, which begin with `stages.`."""
    return all(name.startswith("stages.") for name in state)


def _without_prefix(target: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the weights without a prefix of their names, if all names of the network exist with that prefix.

    Tensors with other names are then left out: they belong to other parts of a training program, such as its loss.

    Raises:
        NetworkError: The file has several networks of these names.
    """
    if not target.keys() - state.keys():
        return state
    first = next((name for name in target if not name.endswith("num_batches_tracked")), "")
    prefixes = [name.removesuffix(first) for name in state if name.endswith(f".{first}")]
    needed = [name for name in target if not name.endswith("num_batches_tracked")]
    whole = [prefix for prefix in prefixes if all(f"{prefix}{name}" in state for name in needed)]
    if len(whole) > 1:
        raise NetworkError(f"the file has several such networks ({listing(whole)}); save one of them alone")
    # Without a prefix that fits, a prefix of all names is left out, so that the message compares the right names.
    common = next((p for p in ("module.", "model.") if all(name.startswith(p) for name in state)), "")
    prefix = whole[0] if whole else common
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _refuse_mismatches(target: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    reshaped = [name for name, tensor in target.items() if name in state and state[name].shape != tensor.shape]
    shapes = [f"{name} is {_shape(state[name])}, the network's {_shape(target[name])}" for name in reshaped]
    missing, unexpected = sorted(target.keys() - state.keys()), sorted(state.keys() - target.keys())
    if missing or unexpected or reshaped:
        reason = "the weights don't fit"
        classes = _classes(target, state, reshaped)
        if classes and not (missing or unexpected):
            reason += f" (they have {classes[0]} classes, the network has {classes[1]})"
        mismatches = (
            f"they lack {listing(missing)}" if missing else "",
            f"the network lacks {listing(unexpected)}" if unexpected else "",
            "; ".join(shapes[:MOST_KEYS]) + (f" and {len(shapes) - MOST_KEYS} more" if shapes[MOST_KEYS:] else ""),
        )
        raise NetworkError(f"{reason}: {'; '.join(filter(None, mismatches))}")
    for name, tensor in state.items():
        if target[name].is_floating_point() and (not tensor.is_floating_point() or tensor.is_quantized):
            kind = str(tensor.dtype).removeprefix("torch.")
            raise NetworkError(f"{name} holds {kind}, the network's weights are float32; save unquantised weights")


def _classes(target: Mapping[str, Tensor], state: Mapping[str, Tensor], reshaped: list[str]) -> tuple[int, int] | None:
    """Return the classes of a file and of a network, if their shapes differ in these alone."""
    pairs = [(tuple(state[name].shape), tuple(target[name].shape)) for name in reshaped]
    outputs = {(a[:1], b[:1]) for a, b in pairs if a[1:] == b[1:]}
    if len(outputs) != 1 or not all(a and b and a[1:] == b[1:] for a, b in pairs):
        return None
    ((classes,), (network_classes,)) = outputs.pop()
    return classes, network_classes


def _shape(tensor: Tensor) -> str:
    return format_shape(tuple(tensor.shape)) if tensor.dim() else "a number"
