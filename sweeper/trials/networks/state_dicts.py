"""Weights as safetensors bytes, and the reading of state dicts that other programs wrote.

The same weights give the same bytes, and so the same digest.
"""

import io
from collections.abc import Mapping
from itertools import islice
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from sweeper.errors import NetworkError
from sweeper.spec.cards.shapes import format_shape

MOST_NAMES = 3  # mismatches of each kind that a message names


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


def read_state_dict(content: bytes) -> Mapping[str, Tensor]:
    """Return the state dict in a file's bytes: safetensors, or the format of `torch.save`.

    The latter is read by torch's loader of plain tensors, never by a pickle that could run code.

    Raises:
        NetworkError: If the file contains anything else.
    """
    try:
        if content[8:9] == b"{":  # a safetensors file: a header in JSON follows 8 bytes with its length
            return load(content)
        state: Any = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise NetworkError(f"not a safetensors file: {error}") from None
    except Exception as error:  # torch raises several kinds; UnpicklingError where there is more than plain tensors
        raise NetworkError(f"not a state dict of plain tensors: {_first_line(error)}") from None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        kinds = f", with {', '.join(map(str, islice(state, MOST_NAMES)))}" if isinstance(state, Mapping) else ""
        raise NetworkError(f"not a state dict of plain tensors, but a {type(state).__name__}{kinds}")
    return state


def fill(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a state dict into a network.

    Raises:
        NetworkError: If names or shapes differ; the message lists the mismatches.
    """
    network_state = network.state_dict()
    reshaped = [name for name, tensor in network_state.items() if name in state and state[name].shape != tensor.shape]
    shapes = [f"{name} is {_shape(state[name])}, the network's {_shape(network_state[name])}" for name in reshaped]
    missing, unexpected = list(network_state.keys() - state.keys()), list(state.keys() - network_state.keys())
    mismatches = [
        _shorten("they lack", sorted(missing)),
        _shorten("the network lacks", sorted(unexpected)),
        _shorten("", shapes),
    ]
    if any(mismatches):
        pairs = [(state[name].shape, network_state[name].shape) for name in reshaped]
        outputs = {(*a[:1], *b[:1]) for a, b in pairs} if all(a[1:] == b[1:] and a and b for a, b in pairs) else ()
        reason = "the weights don't fit"
        if len(outputs) == 1 and not (missing or unexpected):
            state_classes, network_classes = next(iter(outputs))
            reason += f" (they have {state_classes} classes, the network has {network_classes})"
        raise NetworkError(f"{reason}: {'; '.join(filter(None, mismatches))}")
    network.load_state_dict(state)


def _shorten(prefix: str, names: list[str]) -> str:
    """Return the prefix and at most `MOST_NAMES` of the names, or "" if there are no names."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{prefix} {', '.join(names[:MOST_NAMES])}{more}".strip() if names else ""


def _shape(tensor: Tensor) -> str:
    return format_shape(tuple(tensor.shape)) if tensor.dim() else "a number"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
