"""Values that are not finite numbers (NaN or infinite): their detection, and the errors that name them.

A sum is finite only if all its terms are, and is computed an order of magnitude faster than `torch.isfinite`, so the
values are looked at one by one only where their sum is not finite.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def nonfinite_values(tensor_by_name: Mapping[str, Tensor]) -> dict[str, str]:
    """Describe the values of tensors that are not finite numbers, by name; tensors with finite values are left out.

    The sums of all tensors are read from the device at once.
    """
    tensor_by_name = {name: x for name, x in tensor_by_name.items() if x.is_floating_point()}
    if not tensor_by_name:
        return {}
    sums = torch.stack([x.detach().sum().float() for x in tensor_by_name.values()]).cpu().tolist()
    suspects = [name for name, total in zip(tensor_by_name, sums, strict=True) if total - total != 0]
    counted = {name: count_nonfinite(tensor_by_name[name]) for name in suspects}
    return {name: text for name, text in counted.items() if text}


def count_nonfinite(x: Tensor) -> str:
    """Return how many values of a tensor are not finite numbers, as the end of a sentence; "" if there are none."""
    return _describe(~torch.isfinite(x), torch.isnan(x))


def _describe(wrong: Tensor, nan: Tensor) -> str:
    """Return the text of `count_nonfinite` from two bool tensors: the values that are wrong, and those that are NaN."""
    count, nans = int(wrong.sum()), int((wrong & nan).sum())
    kinds = " and ".join(filter(None, (f"{nans:,} NaN" * bool(nans), f"{count - nans:,} infinite" * (count > nans))))
    return f"{count:,} of {wrong.numel():,} values are not finite numbers ({kinds})" if count else ""


def check_finite(name: str, x: Tensor) -> None:
    """Check that all values of a tensor are finite numbers.

    Raises:
        FloatingPointError: If they are not; the message names the tensor.
    """
    if text := nonfinite_values({name: x}).get(name):
        raise FloatingPointError(f"{name}: {text}")


def check_parameters(subject: str, module: nn.Module) -> None:
    """Check that the parameters of a module are finite numbers; its buffers are not looked at.

    Raises:
        FloatingPointError: If they are not; the message names the first such parameter.
    """
    for name, text in nonfinite_values(dict(module.named_parameters())).items():
        raise FloatingPointError(f"{subject}, {name}: {text}")


@contextmanager
def named_in_errors(subject: str) -> Iterator[None]:
    """Put the name of a network before the message of a `FloatingPointError` of the `with` block."""
    try:
        yield
    except FloatingPointError as error:
        raise FloatingPointError(f"{subject}: {error}") from error


class CheckedActivations(Mapping[str, Tensor]):
    """The activations of a network by cut, of which those with a value that isn't a finite number can't be read."""

    def __init__(self, network: str, tensor_by_cut: Mapping[str, Tensor], refused: Mapping[str, str] | None = None):
        """Check activations.

        Args:
            network: The network in a sentence, such as "A" or "B".
            tensor_by_cut: The activations.
            refused: Messages by cut, of a check made before; by default the activations are checked here.
        """
        self._tensor_by_cut = tensor_by_cut
        if refused is None:
            wrong = nonfinite_values(tensor_by_cut)
            refused = {cut: f"the activation of {network} at {cut}: {text}" for cut, text in wrong.items()}
        self.refused = refused

    def __getitem__(self, cut: str) -> Tensor:
        if cut in self.refused:
            raise FloatingPointError(self.refused[cut])
        return self._tensor_by_cut[cut]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensor_by_cut)

    def __len__(self) -> int:
        return len(self._tensor_by_cut)


def infinite_tables(network: nn.Module) -> dict[str, Tensor]:
    """Return copies of the buffers with infinities, by name: tables of a network such as the mask of an attention."""
    return {name: table.clone() for name, table in network.named_buffers() if bool(torch.isinf(table).any())}


def check_weights(network: nn.Module, tables: Mapping[str, Tensor]) -> None:
    """Check that all weights and buffers of a network are finite numbers.

    Args:
        network: The network.
        tables: The result of `infinite_tables` for the network as it was built; these infinities are allowed.

    Raises:
        FloatingPointError: If they are not; the message names the first such tensor.
    """
    state = network.state_dict()
    for name in nonfinite_values(state):
        x = state[name]
        wrong = ~torch.isfinite(x)
        if name in tables:
            wrong &= x != tables[name].to(x.device)
        if text := _describe(wrong, torch.isnan(x)):
            raise FloatingPointError(f"the weights {name}: {text}")
