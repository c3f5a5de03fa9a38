"""An activation, and the quantities that several measures derive from it, cached at their first use.

Matrices of features by features are accumulated and decomposed in float64, whatever the input's precision; matrices as
large as the activation, or of images by images, keep the input's precision.
"""

import math
from collections.abc import Callable, Hashable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sweeper.trials.networks.finite import nonfinite_values

EXTREME = 1e15  # a scale of deviations beyond which their squares, or those of its inverse, could leave float32
BLOCK = 2**24  # entries of an intermediate matrix that are in memory at once: 64 MiB of float32


class Spectrum(NamedTuple):
    """The principal axes of a centred activation X that have variance: X'X = V diag(values) V'."""

    values: Tensor  # (axes,) float64, in descending order: squares of X's singular values
    vectors: Tensor  # (features, axes) float64

    def leading_axes(self, variance: float) -> "Spectrum":
        """Return the first axes that explain a share `variance` of the variance."""
        values = self.values.cpu().numpy()  # a GPU's cumulative sum is not deterministic
        explained = values.cumsum() / values.sum()
        axes = int((explained < variance * (1 - 1e-12)).sum()) + 1
        return Spectrum(self.values[:axes], self.vectors[:, :axes])


class Activation:
    """A network's tensor at a cut, for some images.

    The features of an image are all its channels at all its places, place by place; no measure depends on their order.
    """

    def __init__(self, x: Tensor):
        """Convert an activation to (images, places, channels), in float32 or float64.

        Args:
            x: Vectors (images, features), tokens (images, tokens, features) or maps (images, channels, height, width).
        """
        self.by_place = by_place(x)  # (images, places, channels)

    def __len__(self) -> int:
        return len(self.by_place)

    @property
    def features(self) -> Tensor:
        """The activation as a matrix (images, features)."""
        return self.by_place.flatten(1)

    def rescale_extremes(self) -> None:
        """Multiply by a power of two where squares of deviations would leave the range of float32.

        No measure depends on the scale of an activation, and such a product is exact.
        """
        if self.nonfinite_values or 1 / EXTREME <= self.scale <= EXTREME:
            return
        largest = max(abs(float(end)) for end in torch.aminmax(self.by_place))
        exponent = max(-126, min(126, -math.frexp(largest)[1]))  # 2**exponent is a float32
        if exponent:
            self.by_place = self.by_place * 2.0**exponent
            self.drop_derived()

    @cached_property
    def nonfinite_values(self) -> str:
        """How many values are not finite numbers, as the end of a sentence; "" if there are none."""
        return nonfinite_values({"": self.by_place}).get("", "")

    @cached_property
    def pixels(self) -> "Activation":
        """The activation with each place of an image as an example, its channels as features; of vectors, itself."""
        return self if self.by_place.shape[1] == 1 else Activation(self.by_place.flatten(0, 1))

    @cached_property
    def mean(self) -> Tensor:
        """The mean over images, (features,)."""
        return self.features.mean(0, dtype=torch.float64).to(self.features.dtype)

    @cached_property
    def scale(self) -> float:
        """The root of the mean squared deviation from the mean, over all images and features."""
        x = self.features
        total = sum(float((x[part] - self.mean).square_().sum(dtype=torch.float64)) for part in blocks(*x.shape))
        return (total / x.numel()) ** 0.5

    @property
    def is_constant(self) -> bool:
        """True if the activation is the same for all images."""
        return self.scale == 0

    @cached_property
    def centred(self) -> Tensor:
        """The features minus their mean, divided by `scale`, (images, features).

        No measure depends on the scale; the division keeps products within the range of float32.
        """
        return (self.features - self.mean) / (self.scale or 1.0)

    @cached_property
    def squared_norms(self) -> Tensor:
        """The squared norms of the rows of `centred`, (images,) float64."""
        x = self.centred
        return torch.cat([x[part].square().sum(1, dtype=torch.float64) for part in blocks(*x.shape)])

    @cached_property
    def spectrum(self) -> Spectrum:
        """The principal axes, from the eigendecomposition of X'X (features, features).

        Axes whose variance is a rounding error, of the input's precision or of the products', are left out.
        """
        return self._axes(*torch.linalg.eigh(products(self.centred, self.centred)))

    @cached_property
    def reduced(self) -> "Activation":
        """The activation up to a rotation of its features, with no more features than images.

        Where there are more, these are the coordinates on the principal axes, from the eigendecomposition of XX'
        (images, images).
        """
        images, features = self.centred.shape
        if features <= images:
            return self
        axes = self._axes(*torch.linalg.eigh(_gram(self.centred)))
        rotated = Activation((axes.vectors * axes.values.sqrt()).to(self.centred.dtype))
        axis = torch.eye(len(axes.values), dtype=torch.float64, device=axes.values.device)
        rotated.spectrum = Spectrum(axes.values / rotated.scale**2 if rotated.scale else axes.values, axis)
        return rotated

    def _axes(self, values: Tensor, vectors: Tensor) -> Spectrum:
        """Return eigenvalues and eigenvectors in descending order, without those that are rounding errors."""
        tolerance = max(torch.finfo(self.centred.dtype).eps ** 2, torch.finfo(torch.float64).eps)
        axes = int((values > values[-1].clamp_min(0) * tolerance * max(self.centred.shape)).sum())
        return Spectrum(values.flip(0)[:axes], vectors.flip(1)[:, :axes])

    @cached_property
    def gram_square(self) -> float:
        """The squared Frobenius norm |X'X|^2 of the centred X."""
        return squared_cross_norm(self.centred, self.centred)

    @cached_property
    def _derived(self) -> dict[Hashable, Any]:
        return {}

    def get_or_compute(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return the cached value under `key`; compute it with `make` at the first call."""
        if key not in self._derived:
            self._derived[key] = make()
        return self._derived[key]

    def drop_derived(self) -> None:
        """Drop all derived quantities."""
        self.__dict__ = {"by_place": self.by_place}

    @property
    def bytes(self) -> int:
        """The bytes of the activation and of all derived quantities; shared memory counts once."""
        return sum(_storages(self).values())


def by_place(x: Tensor) -> Tensor:
    """Return an activation as (images, places, channels), in float32 or float64.

    The result is a view where the channels of a map come last in memory.

    Args:
        x: (images, features), (images, tokens, features) or (images, channels, height, width).
    """
    x = x if x.dtype in (torch.float32, torch.float64) else x.float()
    x = x.movedim(1, -1) if x.ndim == 4 else x
    return x.reshape(len(x), -1, x.shape[-1])


def products(x: Tensor, y: Tensor) -> Tensor:
    """Return X'Y, (features of x, features of y) float64, from x and y of (images, features)."""
    total = torch.zeros(x.shape[1], y.shape[1], dtype=torch.float64, device=x.device)
    for part in blocks(len(x), x.shape[1] + y.shape[1]):
        total.addmm_(x[part].double().T, y[part].double())
    return total


def squared_cross_norm(x: Tensor, y: Tensor) -> float:
    """Return the squared Frobenius norm |X'Y|^2, without holding all of X'Y in memory."""
    parts = (x[:, part].T @ y for part in blocks(x.shape[1], y.shape[1]))
    return sum(float(part.square_().sum(dtype=torch.float64)) for part in parts)


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Yield slices of a matrix's rows, each of at most `BLOCK` entries (or one row)."""
    size = max(1, BLOCK // max(columns, 1))
    return (slice(start, start + size) for start in range(0, rows, size))


def _gram(x: Tensor) -> Tensor:
    """Return XX', (images, images) float64."""
    gram = torch.zeros(len(x), len(x), dtype=torch.float64, device=x.device)
    for part in blocks(x.shape[1], len(x)):
        columns = x[:, part].double()
        gram.addmm_(columns, columns.T)
    return gram


def _storages(value: Any) -> dict[int, int]:
    """Return the bytes of each storage that the tensors inside a value use, by its address."""
    if isinstance(value, Tensor):
        storage = value.untyped_storage()
        return {storage.data_ptr(): storage.nbytes()}
    parts = vars(value) if isinstance(value, Activation) else value
    parts = parts.values() if isinstance(parts, dict) else parts if isinstance(parts, tuple) else ()
    return {address: size for part in parts if part is not value for address, size in _storages(part).items()}
