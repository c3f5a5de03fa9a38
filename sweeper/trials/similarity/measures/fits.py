"""The fit of B's activation by a rotation or an affine map of A's, in closed form."""

from sweeper.trials.similarity.measures.pair import Pair


def procrustes(pair: Pair, *, maps: str) -> float:
    """Return the Procrustes similarity 1 - d^2 / 2, in [0, 1] (Ding et al. 2021, section 2).

    d = min |X / |X| - Y / |Y| Q| over orthogonal Q, in the Frobenius norm, of the centred activations; the similarity
    equals |X'Y|_* / (|X| |Y|), with the nuclear norm of X'Y.

    Args:
        pair: The activations.
        maps: As in `Pair.view_maps`.
    """
    pair = pair.view_maps(maps).reduced
    return min(1.0, pair.nuclear / float(pair.a.squared_norms.sum() * pair.b.squared_norms.sum()) ** 0.5)


def orthogonal_r2(pair: Pair, *, maps: str) -> float:
    """Return 1 - min |Y - s X Q|^2 / |Y|^2 over scales s and orthogonal Q (Schönemann 1966).

    It is the square of `procrustes`.

    Args:
        pair: The activations.
        maps: As in `Pair.view_maps`.
    """
    return procrustes(pair, maps=maps) ** 2


def affine_r2(pair: Pair, *, maps: str) -> float:
    """Return 1 - min |Y - X W|^2 / |Y|^2 over all matrices W, of the centred activations.

    It equals |U_a'Y|^2 / |Y|^2, where U_a, X's left singular vectors, spans X's columns.

    Args:
        pair: The activations.
        maps: As in `Pair.view_maps`.
    """
    pair = pair.view_maps(maps).reduced
    values, vectors = pair.a.spectrum
    explained = ((vectors / values.sqrt()).T @ pair.cross).square().sum()
    return min(1.0, float(explained / pair.b.squared_norms.sum()))
