"""A network's own images: resizing and normalisation as the first stage of a network.

All networks of a data set are given the same images, normalised by the constants of the data set, and augmented or not.
A network that takes others converts them in a stage of its own, before all cuts. So two networks with different images
can be stitched and compared on the same batch, and a bottom takes its own.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.spec.records.task import NetworkInput

STAGE = "(input)"  # the name of the stage, which no cut has


class OwnInput(nn.Module):
    """The map from images normalised by the data set's constants to a network's own images. It has no weights.

    Resizing is linear and keeps constants, so it may follow the normalisation: the result is that of resizing the
    pixels, as numbers from 0 to 1 that are not rounded, and normalising them.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, images: NetworkInput, mean: Sequence[float], std: Sequence[float]):
        """Prepare the map.

        Args:
            images: The images that the network takes.
            mean: The data set's mean of each channel, for pixels from 0 to 1.
            std: Its standard deviation.
        """
        super().__init__()
        self.size, self.interpolation = images.size, images.interpolation
        own_mean, own_std = (images.mean, images.std) if images.mean else (mean, std)
        data_mean, data_std, own_mean, own_std = (
            torch.tensor(values, dtype=torch.float64) for values in (mean, std, own_mean, own_std)
        )
        # A grey image has as many equal channels as the network takes.
        self.register_buffer("scale", (data_std / own_std).float().view(-1, 1, 1), persistent=False)
        self.register_buffer("shift", ((data_mean - own_mean) / own_std).float().view(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's images (n, channels, height, width) for the data set's (n, c, h, w), float32."""
        if x.shape[2:] != self.size:
            x = functional.interpolate(x, self.size, mode=self.interpolation, antialias=True)
        return torch.addcmul(self.shift, x, self.scale)


def with_own_input(
    network: nn.Module, images: NetworkInput | None, mean: Sequence[float], std: Sequence[float]
) -> nn.Module:
    """Give a network a first stage that makes its own images, in place, and return it; None changes nothing."""
    if images is not None:
        stages = network.stages
        assert isinstance(stages, nn.ModuleDict)
        network.stages = nn.ModuleDict({STAGE: OwnInput(images, mean, std), **stages})
    return network
