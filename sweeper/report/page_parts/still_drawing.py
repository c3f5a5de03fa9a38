"""The drawing of a chart as the page holds it: for print and without JavaScript, and as short as it can be."""

import re

_TAG = re.compile(r"<[^>]*>")
_PLACES = re.compile(r' (?:d|transform|[xy][12]?|width|height)="[^"]*"')
_LONG_NUMBER = re.compile(r"-?\d+\.\d{2,}(?:e-?\d+)?")
_UNHEARD = re.compile(r' (?:role|aria-[a-z]+)="[^"]*"')


def still_drawing(svg: str) -> str:
    """Return an SVG with places to a tenth of a pixel, and without the texts on marks that no reader hears.

    The element has the role of an image, so that what is in it is read to nobody: its own label stands for it. That
    label, visible texts, colours and opacities stay as they are.
    """
    head, end, inner = svg.partition(">")
    return head + end + _TAG.sub(_shorter_tag, inner)


def _shorter_tag(tag: re.Match[str]) -> str:
    return _PLACES.sub(lambda places: _LONG_NUMBER.sub(_rounded, places[0]), _UNHEARD.sub("", tag[0]))


def _rounded(number: re.Match[str]) -> str:
    """Round a number and keep its sign, also of 0, because the sign may be all that parts it from the number before."""
    return f"{float(number[0]):.1f}".removesuffix(".0")
