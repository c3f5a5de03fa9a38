"""How well B's activation is fitted by a rotation or an affine map of A's, in closed form."""

from sweeper.trials.similarity.measures.pair import Pair


def procrustes(pair: Pair, *, maps: str) -> float:
    """1 - d^2 / 2, d = min |X / |X| - Y / |Y| Q| over orthogonal Q, of centred activations in the Frobenius norm
    (Ding et al. 2021, section 2): |X'Y|_* / (|X| |Y|)."""
    pair = pair.seen(maps).reduced
    return min(1.0, pair.nuclear / float(pair.x.sizes.sum() * pair.y.sizes.sum()) ** 0.5)


def orthogonal_r2(pair: Pair, *, maps: str) -> float:
    """1 - min |Y - s X Q|^2 / |Y|^2 over scales s and orthogonal Q: the square of `procrustes` (Schönemann 1966)."""
    return procrustes(pair, maps=maps) ** 2


def affine_r2(pair: Pair, *, maps: str) -> float:
    """1 - min |Y - X W|^2 / |Y|^2 over all W, of centred activations: |U_x'Y|^2 / |Y|^2, for U_x spans X's columns."""
    pair = pair.seen(maps).reduced
    values, vectors = pair.x.spectrum
    explained = ((vectors / values.sqrt()).T @ pair.cross).square().sum()
    return min(1.0, float(explained / pair.y.sizes.sum()))
