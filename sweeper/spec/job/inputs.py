"""The images that the networks of a family take: the key `input`, resolved for a data set."""

from collections.abc import Iterator, Sequence
from itertools import product

from sweeper.errors import DataError
from sweeper.spec.cards.shapes import Shape
from sweeper.spec.content.weights import NONE, Weights, described_input
from sweeper.spec.job.family import Family, InputSpec
from sweeper.spec.records.task import Data, NetworkInput

InputValue = InputSpec | str | None  # a value of the axis `input`


def network_input(
    value: InputValue, data: Data, weights: str = NONE, arch: str = "", available: Sequence[Weights] = ()
) -> NetworkInput | None:
    """Return the images that a network takes; None if they are those of the data set as they are.

    Args:
        value: A value of the family's axis `input`.
        data: The data set.
        weights: The name of the network's weights.
        arch: The network.
        available: The weights that the job carries.

    Raises:
        DataError: The value doesn't fit the data set, or no description of the weights is known.
    """
    if value is None:
        return None
    if isinstance(value, str):
        described = described_input(weights, arch, available)
        if described is None:
            if weights == NONE:
                raise DataError("the family has no weights that could describe their images")
            raise DataError(f"{weights} has no description of the images that it was trained on")
        mean, std = described.mean, described.std
        size, interpolation = described.size, described.interpolation
    else:
        size = _size(value.size, data)
        mean, std = _constants(value, data)
        interpolation = value.interpolation
    if len(mean) not in (0, data.shape[0]) and data.shape[0] != 1:
        raise DataError(f"the images have {data.shape[0]} channels, and mean and std are given for {len(mean)}")
    if size == data.shape[1:]:
        if not mean:
            return None
        interpolation = "bilinear"  # nothing is resized, so equal models share one id
    return NetworkInput(size, mean, std, interpolation)


def _size(size: int | tuple[int, ...] | None, data: Data) -> tuple[int, int]:
    if size is None:
        return data.shape[1:]
    return (size, size) if isinstance(size, int) else (size[0], size[-1])


def _constants(value: InputSpec, data: Data) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the standard deviation of each channel; a single number holds for all channels."""
    if value.mean is None or value.std is None:
        if value.mean is not None or value.std is not None:
            given, absent = ("mean", "std") if value.std is None else ("std", "mean")
            raise DataError(f"{given} is given without {absent}")
        return (), ()
    constants = [(part,) if isinstance(part, int | float) else tuple(part) for part in (value.mean, value.std)]
    most = max(map(len, constants))
    channels = most if most > 1 else data.shape[0]
    mean, std = (part * channels if len(part) == 1 else part for part in constants)
    if len(mean) != len(std):
        raise DataError(f"mean has {len(mean)} values, and std has {len(std)}")
    return tuple(map(float, mean)), tuple(map(float, std))


def image_shapes(family: Family, data: Data, available: Sequence[Weights] = ()) -> dict[str, list[Shape]]:
    """Return, for each architecture of a family, the shapes of the images that its networks take.

    Shapes that can't be known yet, or that a mistake makes impossible, are left out.
    """
    shapes: dict[str, dict[Shape, None]] = {arch: {} for arch in family.arch}
    for arch, shape in _shapes(family, data, available):
        shapes[arch].setdefault(shape)
    return {arch: list(shapes_of_arch) for arch, shapes_of_arch in shapes.items()}


def _shapes(family: Family, data: Data, available: Sequence[Weights]) -> Iterator[tuple[str, Shape]]:
    for value, arch, weights in product(family.input or (None,), family.arch, family.weights):
        try:
            resolved = network_input(value, data, weights, arch, available)
        except DataError:
            continue
        yield arch, resolved.shape(data.shape) if resolved else data.shape
