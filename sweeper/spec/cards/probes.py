"""Stitches that only probe A, and cuts at which stitches are the same network.

Where all layers of B after a cut are affine, B adds to the stitcher no more than a linear classifier. With an affine
stitcher, the stitched network is then a linear probe of A; with another one, a probe of A by a small network. Neither
says how well A's representation suits layers of B.
"""

from sweeper.spec.cards.card import Cut, StitcherCard
from sweeper.spec.records.task import Options


def is_linear_probe(stitcher: StitcherCard, options: Options, top_cut: Cut) -> bool | None:
    """Return whether a stitched network is a linear probe of A; None if it is unknown.

    Args:
        stitcher: The card of the stitcher.
        options: The stitcher's settings, all of them.
        top_cut: The cut of B.
    """
    return None if top_cut.affine_top is None else top_cut.affine_top and stitcher.affine(dict(options))


def find_same_cut(stitcher: StitcherCard, options: Options, bottom_cut: Cut, top_cut: Cut) -> str | None:
    """Return the earliest cut at which a stitch of two networks of one architecture is the same function.

    Args:
        stitcher: The card of the stitcher.
        options: The stitcher's settings, all of them.
        bottom_cut: The cut of A.
        top_cut: The cut of B.

    Returns:
        The name of an earlier cut of A and B; None if there is none.
    """
    if bottom_cut.name != top_cut.name or bottom_cut.same_as != top_cut.same_as:
        return None
    same = stitcher.affine(dict(options)) and stitcher.placewise(dict(options))
    return (top_cut.same_as or None) if same else None
