"""State dicts of published files as their libraries read them.

torchvision renames tensors of its old DenseNet files, and leaves out the auxiliary heads of GoogLeNet and Inception,
which only the training of the whole network uses. timm renames the tensors of files from other sources.
"""

import re
import sys
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from sweeper.trials.networks.state_dicts import fits

# As in torchvision.models.densenet: `norm.1` and the like, which old versions of torch allowed as names.
_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.\w+)$")
_AUXILIARY = re.compile(r"(?:^|\.)(?:aux1|aux2|AuxLogits)\.")
WITH_AUXILIARY = ("googlenet", "inception_v3")


def remove_auxiliary_heads(network: Any) -> None:
    """Remove the auxiliary heads of a GoogLeNet or Inception, in place."""
    network.aux_logits = False
    for name in ("aux1", "aux2", "AuxLogits"):
        if hasattr(network, name):
            setattr(network, name, None)


def as_library_reads(
    arch: str, network: nn.Module, state: Mapping[str, Tensor], new_head: bool = False
) -> Mapping[str, Tensor]:
    """Return a state dict under the present names of an external network, if it has names of a published file.

    Args:
        arch: The name of the network.
        network: The network, as its library makes it.
        state: The state dict.
        new_head: As in `fitted`.
    """
    maker, _, name = arch.partition(":")
    if maker == "torchvision" and name.startswith("densenet"):
        return {_DENSENET.sub(r"\1\2", key): tensor for key, tensor in state.items()}
    if maker == "torchvision" and name in WITH_AUXILIARY:
        return {key: tensor for key, tensor in state.items() if not _AUXILIARY.search(key)}
    convert = getattr(sys.modules.get(type(network).__module__), "checkpoint_filter_fn", None)
    if maker != "timm" or convert is None or fits(network, state, new_head):
        return state
    try:
        return convert(dict(state), network)
    except Exception:  # whatever timm's own code raises for a file of another network
        return state
