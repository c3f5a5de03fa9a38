"""The check of a network's name in torchvision and timm, and the import of timm, for networks and their weights."""

from collections.abc import Sequence
from typing import Any

from sweeper import distribution
from sweeper.errors import UsageError, did_you_mean


def check_network_name(library: str, name: str, names: Sequence[str]) -> None:
    """Check that a library has a network.

    Args:
        library: `torchvision` or `timm`.
        name: The name of the network, without the set of weights that may follow it in timm.
        names: The names of the library's networks.

    Raises:
        UsageError: It has none of this name.
    """
    if name not in names:
        right = did_you_mean(name, names, prefix=f"{library}:")
        raise UsageError(f"no network '{library}:{name}'" + (right and f"; {right}"))


def import_timm() -> Any:
    """Return the module `timm`.

    Raises:
        UsageError: It isn't installed.
    """
    try:
        import timm  # type: ignore[import-not-found] (an extra)
    except ImportError:
        raise UsageError(f"timm is not installed: {distribution.install_command('timm')}") from None
    return timm
