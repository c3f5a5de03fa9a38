"""The Hilbert-Schmidt independence criterion of two kernel matrices, from sums over their entries, and CKA from it.

The biased estimator is HSIC_0 = tr(KHLH) / (n - 1)^2 with the centring matrix H (Gretton et al. 2005), the unbiased one
HSIC_1 of Song et al. 2012, equation 5. Factors that cancel in CKA are left out.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from sweeper.trials.similarity.measures.activation import blocks


class Kernel(NamedTuple):
    """Sums over the entries of a symmetric kernel matrix K."""

    square: float  # <K, K>
    rows: Tensor  # the sum of each row, (images,) float64
    diagonal: Tensor  # (images,) float64


def cka(product: float, k: Kernel, l: Kernel, debiased: bool) -> float:  # noqa: E741 (the letters of the papers)
    """Return CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)); 0 where either kernel is constant.

    Args:
        product: The Frobenius product <K, L>.
        k: The sums of K.
        l: The sums of L.
        debiased: If true, use HSIC_1 instead of HSIC_0.

    Raises:
        ValueError: If `debiased` and there are fewer than 4 images.
    """
    if debiased and len(k.rows) < 4:
        raise ValueError(f"the debiased estimator of CKA needs 4 images or more; there are {len(k.rows)}")
    hsic = unbiased if debiased else biased
    return ratio(hsic(product, k, l), hsic(k.square, k, k), hsic(l.square, l, l))


def ratio(kl: float, kk: float, ll: float) -> float:
    """Return kl / sqrt(kk ll), a cosine from three inner products; 0 where kk or ll is not positive."""
    return kl / (kk * ll) ** 0.5 if kk > 0 and ll > 0 else 0.0


def biased(product: float, k: Kernel, l: Kernel) -> float:  # noqa: E741
    """Return (n - 1)^2 HSIC_0 = tr(KHLH), from <K, L> and the sums of K and L."""
    n = len(k.rows)
    return product - 2 / n * float(k.rows @ l.rows) + float(k.rows.sum() * l.rows.sum()) / n**2


def unbiased(product: float, k: Kernel, l: Kernel) -> float:  # noqa: E741
    """Return n (n - 3) HSIC_1, which ignores both diagonals, from <K, L> and the sums of K and L."""
    n = len(k.rows)
    rows_k, rows_l = k.rows - k.diagonal, l.rows - l.diagonal
    sums = float(rows_k.sum() * rows_l.sum()) / ((n - 1) * (n - 2)) - 2 / (n - 2) * float(rows_k @ rows_l)
    return product - float(k.diagonal @ l.diagonal) + sums


def kernel_sums(k: Tensor) -> Kernel:
    """Return the sums of a kernel matrix (images, images)."""
    return Kernel(inner(k, k), k.sum(1).double(), k.diagonal().double())


def inner(k: Tensor, l: Tensor) -> float:  # noqa: E741
    """Return the Frobenius product <K, L>.

    Each row is summed in the input's precision and the rows in float64, which takes an eighth of the time of float64
    throughout.
    """
    return float(torch.einsum("ij,ij->i", k, l).sum(dtype=torch.float64))


class Strips:
    """Sums over two kernel matrices K and L, accumulated strip by strip, so that neither is in memory as a whole.

    A strip is a block of rows, from the block's diagonal on. As the matrices are symmetric, entries to the right of the
    square on the diagonal count twice.
    """

    def __init__(self, images: int, device: torch.device):
        zeros = torch.zeros(2, images, dtype=torch.float64, device=device)
        self._rows, self._diagonals = zeros, zeros.clone()
        self._products = {"kk": 0.0, "ll": 0.0, "kl": 0.0}

    @staticmethod
    def parts(images: int) -> Iterator[slice]:
        """Return the rows of each strip. The columns of a strip start at its first row."""
        return blocks(images, images)

    def add(self, part: slice, k: Tensor, l: Tensor) -> None:  # noqa: E741
        """Add a strip of each matrix, (rows, images - part.start). Both are overwritten."""
        size = len(k)
        rows = slice(part.start, part.start + size)
        for side, strip in enumerate((k, l)):
            self._diagonals[side, rows] = strip.diagonal().double()
            self._rows[side, rows] += strip.sum(1)
            self._rows[side, rows.stop :] += strip[:, size:].sum(0)
            strip[:, size:] *= 2**0.5
        for name, left, right in (("kk", k, k), ("ll", l, l), ("kl", k, l)):
            self._products[name] += inner(left, right)

    def cka(self, debiased: bool) -> float:
        """Return CKA of the two kernels, after all strips were added."""
        k, l = (  # noqa: E741
            Kernel(self._products[name], rows, diagonal)
            for name, rows, diagonal in zip(("kk", "ll"), self._rows, self._diagonals, strict=True)
        )
        return cka(self._products["kl"], k, l, debiased)
