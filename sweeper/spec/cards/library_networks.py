"""The networks of torchvision and timm by name, checked without importing them: that takes seconds."""

import functools
import importlib.util
import re
from pathlib import Path

from sweeper import distribution
from sweeper.errors import did_you_mean
from sweeper.spec.cards.card import Shape

# The decorator of torchvision's builders, with the name that it gives or else the function's.
_BUILDER = re.compile(r'^@register_model\((?:name="([^"]+)")?\)\n(?:(?!def ).*\n)*def (\w+)', re.MULTILINE)
_COLOURS = 3  # channels of the images that torchvision's networks take


def library_misfit(arch: str, image: Shape | None) -> tuple[str, str] | None:
    """Return why a network of a library can't be built, and a correction; None if it may be or isn't of a library.

    Args:
        arch: The name, such as `torchvision:resnet18`.
        image: The shape of the images that the network takes (channels, height, width), if it is known.
    """
    library, _, name = arch.partition(":")
    if library == "timm" and importlib.util.find_spec("timm") is None:
        return "timm is not installed", distribution.install_command("timm")
    if library != "torchvision":
        return None
    names = _torchvision_names()
    if names and name not in names:
        return f"no network '{arch}'", did_you_mean(name, names, prefix="torchvision:")
    if image is None or image[0] == _COLOURS:
        return None
    colours = (
        "input: {mean: [0.5, 0.5, 0.5], std: 0.5} gives the network three equal channels, " if image[0] == 1 else ""
    )
    correction = (
        f"{colours}timm:NAME and Sweeper's own architectures are built for the images, and so can be a function of "
        f"yours that sets in_channels={image[0]}"
    )
    return f"{arch} takes images of {_COLOURS} channels, and it would get {image[0]}", correction


@functools.cache
def _torchvision_names() -> frozenset[str]:
    """Return the names of torchvision's classification networks, read from its files; none if it isn't installed."""
    spec = importlib.util.find_spec("torchvision")
    folders = spec.submodule_search_locations if spec else None
    files = [file for folder in folders or () for file in Path(folder).glob("models/*.py")]
    texts = (file.read_text("utf-8", errors="replace") for file in files)
    return frozenset(match[1] or match[2] for text in texts for match in _BUILDER.finditer(text))
