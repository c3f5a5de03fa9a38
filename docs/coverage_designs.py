"""Simulated experiments with models on two sides, and how often their intervals miss the true value.

The value of a pair is y_ij = a_i + b_j + e_ij, with normal effects and a true mean of 0. All experiments of a design
are drawn and evaluated at once, with the row and column means of each experiment's table. They have the intervals of
`sweeper.store.statistics.interval.model_interval` (tests/test_coverage.py compares single experiments).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from sweeper.store.statistics.bounds import half_width
from sweeper.store.statistics.looks import level_at

LEVEL = 0.95
CUT_CORRELATION = 0.5  # of the effects of a model at two cuts
_NUMBERS = 4_000_000  # drawn at a time


class Design(NamedTuple):
    """A two-way design: numbers of models, and the variances of the effects of a model and of a pair.

    If `roles` is a number, both sides have the same seeds, and it is the correlation of the effects of a seed as A and
    as B. Then `n` and `m` are equal, and pairs of equal seeds count only with `diagonal`.
    """

    n: int  # models A
    m: int  # models B
    a: float
    b: float
    pair: float
    roles: float | None = None
    diagonal: bool = True

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], b: np.ndarray | None = None) -> np.ndarray:
        """Draw tables of values, shape (*shape, n, m); `b` are the effects of B, if given, shape (*, m)."""
        first = rng.standard_normal((*shape, self.n, 1))
        second = rng.standard_normal((*shape, 1, self.m)) if b is None else b[..., None, :]
        if self.roles is not None:
            second = self.roles * np.swapaxes(first, -1, -2) + np.sqrt(1 - self.roles**2) * second
        noise = rng.standard_normal((*shape, self.n, self.m))
        return np.sqrt(self.a) * first + np.sqrt(self.b) * second + np.sqrt(self.pair) * noise


class Estimate(NamedTuple):
    """The means of tables, shape (...), and the parts of their variances, shape (parts, ...)."""

    mean: np.ndarray
    variances: np.ndarray
    degrees: np.ndarray

    def misses(self, level: float) -> np.ndarray:
        """Return whether each interval misses the true mean, 0."""
        return np.abs(self.mean) > half_width(self.variances, self.degrees, level)

    def satterthwaite_misses(self, level: float) -> np.ndarray:
        """Return whether the interval with Satterthwaite's degrees of freedom misses 0."""
        variance = self.variances.sum(axis=0)
        df = variance**2 / (self.variances.T**2 / self.degrees).sum(axis=-1).T
        return np.abs(self.mean) > -stdtrit(df, (1 - level) / 2) * np.sqrt(variance)


def estimate(design: Design, y: np.ndarray) -> Estimate:
    """Return the estimates of tables of values, shape (..., n, m)."""
    if design.roles is None:
        parts = [y.mean(axis=-1).var(axis=-1, ddof=1) / design.n, y.mean(axis=-2).var(axis=-1, ddof=1) / design.m]
        return Estimate(y.mean(axis=(-1, -2)), np.stack(parts), np.array([design.n - 1, design.m - 1]))
    n, used = design.n, np.ones((design.n, design.n)) - (0 if design.diagonal else np.eye(design.n))
    y = y * used
    total, count = y.sum(axis=(-1, -2)), used.sum()
    with_model = y.sum(axis=-1) + y.sum(axis=-2) - np.diagonal(y, axis1=-1, axis2=-2)
    counts = used.sum(axis=-1) + used.sum(axis=-2) - np.diagonal(used)
    without = (total[..., None] - with_model) / (count - counts)
    return Estimate(total / count, (without.var(axis=-1) * (n - 1))[None], np.array([n - 1]))


class Errors(NamedTuple):
    """Shares of simulated experiments with an error, for one design."""

    single: float  # the 95 % interval of one mean misses it
    means: float  # some interval of a family of means misses
    cuts: float  # some interval of a family of cuts misses
    satterthwaite: float  # some interval of the family of means misses, with Satterthwaite's degrees of freedom


def errors(design: Design, draws: int, contrasts: int = 3, cuts: int = 4, seed: int = 0) -> Errors:
    """Return the shares of experiments with an error.

    An experiment has several contrasts: other A with the same B. Each has several cuts, at which the effects of a model
    are correlated, and its headline is the mean over the cuts. The family of means has all headlines, the family of
    cuts those of one contrast.
    """
    rng = np.random.default_rng(seed)
    block = max(1, _NUMBERS // (contrasts * (cuts + 1) * design.n * design.m))
    counts, done = np.zeros(4), 0
    for size in _sizes(draws, block):
        y = _tables(design, rng, size, contrasts, cuts)
        headlines, first = estimate(design, y.mean(axis=2)), estimate(design, y[:, 0])
        family_level, cut_level = 1 - (1 - LEVEL) / contrasts, 1 - (1 - LEVEL) / cuts
        counts += [
            headlines.misses(LEVEL)[:, 0].sum(), headlines.misses(family_level).any(axis=1).sum(),
            first.misses(cut_level).any(axis=1).sum(), headlines.satterthwaite_misses(family_level).any(axis=1).sum(),
        ]  # fmt: skip
        done += size
    return Errors(*(counts / done).tolist())


class LookErrors(NamedTuple):
    """Shares of simulated experiments in which an interval misses at some look, while runs are added."""

    corrected: float  # at the level of each look
    uncorrected: float  # at 95 % at each look
    first: float  # at the level of the first look, at that look


def look_errors(design: Design, draws: int, looks: int = 10, more: int = 1, seed: int = 0) -> LookErrors:
    """Return the shares of experiments with an error at some look.

    The design has the numbers of models at the first look; at each other look, `more` models are added on each side.
    """
    rng = np.random.default_rng(seed)
    last = design._replace(n=design.n + more * (looks - 1), m=design.m + more * (looks - 1))
    counts, done = np.zeros(3), 0
    for size in _sizes(draws, max(1, _NUMBERS // (last.n * last.m))):
        y = last.draw(rng, (size,))
        misses = np.zeros((2, looks, size), bool)
        for look in range(looks):
            at_look = design._replace(n=design.n + more * look, m=design.m + more * look)
            estimated = estimate(at_look, y[:, : at_look.n, : at_look.m])
            misses[:, look] = estimated.misses(level_at(1, look + 1)), estimated.misses(LEVEL)
        counts += [*misses.any(axis=1).sum(axis=1), misses[0, 0].sum()]
        done += size
    return LookErrors(*(counts / done).tolist())


def _tables(design: Design, rng: np.random.Generator, size: int, contrasts: int, cuts: int) -> np.ndarray:
    """Draw tables, shape (size, contrasts, cuts, n, m); at a cut, a value is half common to all cuts."""
    weights = np.sqrt(CUT_CORRELATION), np.sqrt(1 - CUT_CORRELATION)
    common, own = (
        design.draw(rng, (size, contrasts, count), rng.standard_normal((size, 1, count, design.m)))
        for count in (1, cuts)
    )
    return weights[0] * common + weights[1] * own


def _sizes(total: int, block: int) -> Iterator[int]:
    """Yield the sizes of blocks that add up to the total."""
    for start in range(0, total, block):
        yield min(block, total - start)
