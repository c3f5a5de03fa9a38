"""The tensors of modules, optimizers and random generators that a saved state holds, and their restoration.

What is restored is copied into the tensors of the new objects, which keep their device and their layout in memory.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from sweeper.spec.records.saved_state import StateError

CPU_GENERATOR, GPU_GENERATOR = "generator.cpu", "generator.cuda"


def module_tensors(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and all buffers of a module, each once, by the prefix and their names."""
    return {f"{prefix}.{name}": x for name, x in (*module.named_parameters(), *module.named_buffers())}


def buffer_tensors(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """Return the buffers of a module whose parameters don't change, by the prefix and their names."""
    return {f"{prefix}.{name}": x for name, x in module.named_buffers()}


def restore_module(prefix: str, module: nn.Module, tensors: Mapping[str, Tensor]) -> Callable[[], None]:
    """Check that a state has the tensors of a module, and return the function that copies them into it.

    Raises:
        StateError: As `restore_tensors`.
    """
    return restore_tensors(module_tensors(prefix, module), tensors)


def restore_tensors(targets: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> Callable[[], None]:
    """Check that a state has some tensors, by name, and return the function that copies them.

    Raises:
        StateError: A tensor is missing, or its shape or type is another.
    """
    for name, target in targets.items():
        saved = tensors.get(name)
        if saved is None or saved.shape != target.shape or saved.dtype != target.dtype:
            raise StateError(f"its {name} is missing or of another form")

    @torch.no_grad()
    def copy() -> None:
        for name, target in targets.items():
            target.copy_(tensors[name])

    return copy


def optimizer_tensors(prefix: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of an optimizer, by the prefix, the number of the parameter and the name of the quantity."""
    return {
        f"{prefix}.{number}.{name}": x
        for number, parameter in enumerate(_parameters(optimizer))
        for name, x in optimizer.state.get(parameter, {}).items()
        if isinstance(x, Tensor)
    }


def restore_optimizer(
    prefix: str, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> Callable[[], None]:
    """Check that a state fits an optimizer that has taken no step, and return the function that sets its state.

    A quantity of the shape of its parameter gets the parameter's device and layout, since fused kernels need that. Any
    other is a count of steps, which torch keeps on the CPU.

    Raises:
        StateError: The state has a parameter that the optimizer lacks.
    """
    parameters = _parameters(optimizer)
    quantities: dict[int, dict[str, Tensor]] = {}
    for key, x in tensors.items():
        if key.startswith(f"{prefix}."):
            number, _, name = key.removeprefix(f"{prefix}.").partition(".")
            if not number.isdecimal() or int(number) >= len(parameters):
                raise StateError(f"its {key} belongs to no parameter")
            quantities.setdefault(int(number), {})[name] = x

    def restore() -> None:
        for number, named in quantities.items():
            parameter = parameters[number]
            optimizer.state[parameter] = {
                name: torch.empty_like(parameter).copy_(x) if x.shape == parameter.shape and name != "step" else x
                for name, x in named.items()
            }

    return restore


def generators() -> dict[str, Tensor]:
    """Return the states of torch's random generators, which networks with dropout draw from."""
    states = {CPU_GENERATOR: torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states[GPU_GENERATOR] = torch.cuda.get_rng_state()
    return states


def restore_generators(tensors: Mapping[str, Tensor]) -> Callable[[], None]:
    """Check that a state has the states of torch's random generators, and return the function that sets them.

    Raises:
        StateError: One is missing or of another form.
    """
    present = generators()
    for name, target in present.items():
        saved = tensors.get(name)
        if saved is None or saved.shape != target.shape or saved.dtype != target.dtype:
            raise StateError(f"its {name} is missing or of another form")

    def restore() -> None:
        torch.set_rng_state(tensors[CPU_GENERATOR])
        if GPU_GENERATOR in present:
            torch.cuda.set_rng_state(tensors[GPU_GENERATOR])

    return restore


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
