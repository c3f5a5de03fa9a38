"""An activation, and what several measures of it share: computed when first asked for, kept until told to forget.

Matrices of features by features are accumulated and decomposed in double precision, whatever the input; what is as
large as the activation, or as images by images, keeps the input's own.
"""

from collections.abc import Callable, Hashable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

BLOCK = 2**24  # entries of an intermediate matrix held at once: 64 MiB of float32


class Spectrum(NamedTuple):
    """The principal axes of a centred activation X, those of no variance left out: X'X = V diag(values) V'."""

    values: Tensor  # (axes,) float64, falling: squares of X's singular values
    vectors: Tensor  # (features, axes) float64

    def kept(self, variance: float) -> "Spectrum":
        """The first axes that explain this share of the variance."""
        values = self.values.cpu().numpy()  # a GPU adds up running sums in an order of chance
        explained = values.cumsum() / values.sum()
        axes = int((explained < variance * (1 - 1e-12)).sum()) + 1
        return Spectrum(self.values[:axes], self.vectors[:, :axes])


class Activation:
    """A network's tensor at a cut, for some images.

    `x`: vectors (images, features), tokens (images, tokens, features) or maps (images, channels, height, width). Half
    precision becomes single. As features of an image stand all its places and channels, place by place: no measure
    minds their order.
    """

    def __init__(self, x: Tensor):
        self.by_place = by_place(x)  # (images, places, channels)

    def __len__(self) -> int:
        return len(self.by_place)

    @property
    def features(self) -> Tensor:
        """(images, features)"""
        return self.by_place.flatten(1)

    @cached_property
    def pixels(self) -> "Activation":
        """Every place of every image as an example of its own, the channels its features; of vectors, itself."""
        return self if self.by_place.shape[1] == 1 else Activation(self.by_place.flatten(0, 1))

    @cached_property
    def mean(self) -> Tensor:
        """(features,)"""
        return self.features.mean(0, dtype=torch.float64).to(self.features.dtype)

    @cached_property
    def scale(self) -> float:
        """Root of the mean square about the mean."""
        x = self.features
        total = sum(float((x[part] - self.mean).square_().sum(dtype=torch.float64)) for part in blocks(*x.shape))
        return (total / x.numel()) ** 0.5

    @property
    def still(self) -> bool:
        """It is the same for all images."""
        return self.scale == 0

    @cached_property
    def centred(self) -> Tensor:
        """Features about their mean and, for scale says nothing to a similarity, of unit mean square altogether, so
        that products stay in range."""
        return (self.features - self.mean) / (self.scale or 1.0)

    @cached_property
    def sizes(self) -> Tensor:
        """(images,) float64: squared norms of the centred images."""
        x = self.centred
        return torch.cat([x[part].square().sum(1, dtype=torch.float64) for part in blocks(*x.shape)])

    @cached_property
    def spectrum(self) -> Spectrum:
        """Principal axes, from an eigendecomposition of features by features.

        Axes whose variance is rounding, in the input's precision or in that of the products, are left out.
        """
        return self._axes(*torch.linalg.eigh(products(self.centred, self.centred)))

    @cached_property
    def reduced(self) -> "Activation":
        """The same up to a rotation, in no more features than there are images: where there are more, coordinates on
        the principal axes, from an eigendecomposition of images by images."""
        images, features = self.centred.shape
        if features <= images:
            return self
        axes = self._axes(*torch.linalg.eigh(_gram(self.centred)))
        found = Activation((axes.vectors * axes.values.sqrt()).to(self.centred.dtype))
        axis = torch.eye(len(axes.values), dtype=torch.float64, device=axes.values.device)
        found.spectrum = Spectrum(axes.values / found.scale**2 if found.scale else axes.values, axis)
        return found

    def _axes(self, values: Tensor, vectors: Tensor) -> Spectrum:
        """Eigenvalues and eigenvectors in falling order, without those that are rounding."""
        precise = max(torch.finfo(self.centred.dtype).eps ** 2, torch.finfo(torch.float64).eps)
        real = int((values > values[-1].clamp_min(0) * precise * max(self.centred.shape)).sum())
        return Spectrum(values.flip(0)[:real], vectors.flip(1)[:, :real])

    @cached_property
    def square(self) -> float:
        """|X'X|^2 of the centred X."""
        return square(self.centred, self.centred)

    @cached_property
    def _memory(self) -> dict[Hashable, Any]:
        return {}

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What a measure derives from this activation alone, made when first asked for."""
        if key not in self._memory:
            self._memory[key] = make()
        return self._memory[key]

    def forget(self) -> None:
        """Drops all that was derived."""
        self.__dict__ = {"by_place": self.by_place}

    @property
    def bytes(self) -> int:
        """Of the activation and all that was derived from it, what they share counted once."""
        return sum(_storages(self).values())


def by_place(x: Tensor) -> Tensor:
    """(images, places, channels), in single precision at least: a view where the channels of a map come last."""
    x = x if x.dtype in (torch.float32, torch.float64) else x.float()
    x = x.movedim(1, -1) if x.ndim == 4 else x
    return x.reshape(len(x), -1, x.shape[-1])


def products(x: Tensor, y: Tensor) -> Tensor:
    """X'Y (features of x, features of y) in float64."""
    found = torch.zeros(x.shape[1], y.shape[1], dtype=torch.float64, device=x.device)
    for part in blocks(len(x), x.shape[1] + y.shape[1]):
        found.addmm_(x[part].double().T, y[part].double())
    return found


def square(x: Tensor, y: Tensor) -> float:
    """|X'Y|^2, without the whole of it."""
    parts = (x[:, part].T @ y for part in blocks(x.shape[1], y.shape[1]))
    return sum(float(part.square_().sum(dtype=torch.float64)) for part in parts)


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Rows of a matrix of so many columns, as many at a time as a block holds."""
    size = max(1, BLOCK // max(columns, 1))
    return (slice(start, start + size) for start in range(0, rows, size))


def _gram(x: Tensor) -> Tensor:
    """XX' (images, images) in float64."""
    found = torch.zeros(len(x), len(x), dtype=torch.float64, device=x.device)
    for part in blocks(x.shape[1], len(x)):
        columns = x[:, part].double()
        found.addmm_(columns, columns.T)
    return found


def _storages(value: Any) -> dict[int, int]:
    """Bytes of every piece of memory that tensors inside a value lie in, by its address."""
    if isinstance(value, Tensor):
        storage = value.untyped_storage()
        return {storage.data_ptr(): storage.nbytes()}
    parts = vars(value) if isinstance(value, Activation) else value
    parts = parts.values() if isinstance(parts, dict) else parts if isinstance(parts, tuple) else ()
    return {address: size for part in parts if part is not value for address, size in _storages(part).items()}
