"""A network's weights as safetensors bytes: the same weights give the same bytes, and so the same digest."""

from collections.abc import Mapping

from safetensors.torch import load, save
from torch import Tensor, nn


def to_bytes(network: nn.Module) -> bytes:
    """Weights and buffers (norms' running statistics too), from whatever device and memory layout. Weights that stand
    in two places of a network are written twice: safetensors refuses tensors that share memory."""
    written: dict[str, Tensor] = {}
    places: set[int] = set()
    for name, tensor in sorted(network.state_dict().items()):
        whole = tensor.cpu().contiguous()
        written[name] = whole.clone() if whole.untyped_storage().data_ptr() in places else whole
        places.add(whole.untyped_storage().data_ptr())
    return save(written)


def from_bytes(blob: bytes) -> Mapping[str, Tensor]:
    """What `to_bytes` wrote, for `load_state_dict`. Raises safetensors.SafetensorError for anything else."""
    return load(blob)
