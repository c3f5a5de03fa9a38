"""The ResNets of 6n + 2 layers for small images (He et al. 2016, Deep residual learning, section 4.2).

They consist of post-activation basic blocks, the meaning of "basic blocks, base 16" there: the ResNet-164 of 81 blocks
is this family at n = 27, not the pre-activation bottleneck network of the same name (He et al. 2016, Identity
mappings). Where the shape changes, the shortcut has no parameters (their option A): it takes every other pixel, and
zeros for the new channels. So no network of this family has the strided 1 x 1 convolution that a comment in
`resnet.py` warns of.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.trials.networks.archs.staged import GlobalPool, Staged, kaiming


class CifarBlock(nn.Module):
    """A residual block, relu(x + residual(x)). Where the shape changes, x is subsampled and its new channels are 0."""

    def __init__(self, channels: int, out: int, stride: int):
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.stride, self.new_channels = stride, out - channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (images, channels, h, w) to (images, out, h / stride, w / stride), sides rounded up."""
        residual = self.residual(x)
        if self.stride > 1 or self.new_channels:
            x = pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))
        return torch.relu_(residual.add_(x))


def resnet_cifar(options: OptionValues, shape: Shape, classes: int) -> nn.Module:
    """Build the network, with the stages stem (convolution, norm, ReLU), block1 .. block<3n>, pool, linear.

    Weights come from torch's global generator.

    Args:
        options: `blocks`, which is n, and `width`, the number of channels of the first stage.
        shape: The shape of an image (channels, height, width).
        classes: The number of classes.
    """
    blocks, width = int(options["blocks"]), int(options["width"])
    stages: dict[str, nn.Module] = {
        "stem": nn.Sequential(
            nn.Conv2d(shape[0], width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
    }
    channels = width
    for block in range(3 * blocks):
        out, stride = width * 2 ** (block // blocks), 2 if block in (blocks, 2 * blocks) else 1
        stages[f"block{block + 1}"] = CifarBlock(channels, out, stride)
        channels = out
    stages["pool"] = GlobalPool()
    stages["linear"] = nn.Linear(channels, classes)
    network = Staged(stages)
    kaiming(network)
    return network
