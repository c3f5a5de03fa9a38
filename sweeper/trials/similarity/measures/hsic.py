"""The Hilbert-Schmidt independence criterion of two kernel matrices, from sums over their entries, and CKA from it.

Biased is HSIC_0 = tr(KHLH) / (n - 1)^2 (Gretton et al. 2005), H the centring matrix; unbiased is HSIC_1 of Song et al.
2012, equation 5. Factors that cancel in CKA are left out.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from sweeper.trials.similarity.measures.activation import blocks


class Kernel(NamedTuple):
    """Sums over the entries of a symmetric kernel matrix K."""

    square: float  # <K, K>
    rows: Tensor  # (images,) float64: the sum of each row
    diagonal: Tensor  # (images,) float64


def cka(product: float, k: Kernel, l: Kernel, debiased: bool) -> float:  # noqa: E741 (the letters of the papers)
    """HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)); product: <K, L>. 0 where either kernel is constant.

    Raises ValueError for under 4 images where debiased.
    """
    if debiased and len(k.rows) < 4:
        raise ValueError("the debiased estimator needs 4 images or more")
    hsic = unbiased if debiased else biased
    return ratio(hsic(product, k, l), hsic(k.square, k, k), hsic(l.square, l, l))


def ratio(kl: float, kk: float, ll: float) -> float:
    """A cosine from three inner products; 0 where a side has no size."""
    return kl / (kk * ll) ** 0.5 if kk > 0 and ll > 0 else 0.0


def biased(product: float, k: Kernel, l: Kernel) -> float:  # noqa: E741
    """(n - 1)^2 HSIC_0 = tr(KHLH)."""
    n = len(k.rows)
    return product - 2 / n * float(k.rows @ l.rows) + float(k.rows.sum() * l.rows.sum()) / n**2


def unbiased(product: float, k: Kernel, l: Kernel) -> float:  # noqa: E741
    """n (n - 3) HSIC_1: both diagonals are taken for 0."""
    n = len(k.rows)
    rows_k, rows_l = k.rows - k.diagonal, l.rows - l.diagonal
    sums = float(rows_k.sum() * rows_l.sum()) / ((n - 1) * (n - 2)) - 2 / (n - 2) * float(rows_k @ rows_l)
    return product - float(k.diagonal @ l.diagonal) + sums


def kernel_sums(k: Tensor) -> Kernel:
    """The sums of a kernel matrix that is there as a whole."""
    return Kernel(inner(k, k), k.sum(1).double(), k.diagonal().double())


def inner(k: Tensor, l: Tensor) -> float:  # noqa: E741
    """<K, L>: rows in the input's precision, their sum in float64 (an eighth of the time of all in float64)."""
    return float(torch.einsum("ij,ij->i", k, l).sum(dtype=torch.float64))


class Strips:
    """Sums over two kernel matrices that are there strip by strip.

    Both are symmetric: a strip from its diagonal on holds all, and what lies right of its square counts twice.
    """

    def __init__(self, images: int, device: torch.device):
        zeros = torch.zeros(2, images, dtype=torch.float64, device=device)
        self._rows, self._diagonals = zeros, zeros.clone()
        self._products = {"kk": 0.0, "ll": 0.0, "kl": 0.0}

    @staticmethod
    def parts(images: int) -> Iterator[slice]:
        """The rows of each strip; its columns begin where its rows do."""
        return blocks(images, images)

    def add(self, part: slice, k: Tensor, l: Tensor) -> None:  # noqa: E741
        """Takes in a strip of each (rows, images - part.start), and overwrites them."""
        size = len(k)
        rows = slice(part.start, part.start + size)
        for side, strip in enumerate((k, l)):
            self._diagonals[side, rows] = strip.diagonal().double()
            self._rows[side, rows] += strip.sum(1)
            self._rows[side, rows.stop :] += strip[:, size:].sum(0)
            strip[:, size:] *= 2**0.5
        for name, one, other in (("kk", k, k), ("ll", l, l), ("kl", k, l)):
            self._products[name] += inner(one, other)

    def cka(self, debiased: bool) -> float:
        """CKA of the two, once every strip was added."""
        k, l = (  # noqa: E741
            Kernel(self._products[name], rows, diagonal)
            for name, rows, diagonal in zip(("kk", "ll"), self._rows, self._diagonals, strict=True)
        )
        return cka(self._products["kl"], k, l, debiased)
