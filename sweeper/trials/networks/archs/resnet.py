"""The pre-activation ResNet-18 of any base width that Bansal et al. 2021 use, after Nakkiran et al. 2020.

It differs from other pre-activation ResNets in one point: there is no norm and ReLU between the last block and the
pooling, so the linear layer reads the mean of the residual stream itself. Images may have any size: blocks 3, 5 and 7
have a stride of 2, and the mean is over the remaining map (4 x 4 of a 32 x 32 image, 1 x 1 of an 8 x 8 one).
"""

from torch import Tensor, nn

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.trials.networks.archs.staged import GlobalPool, Staged, kaiming


class PreActivationBlock(nn.Module):
    """A residual block, x + residual(relu(norm(x))).

    With `normed_shortcut` the first summand is relu(norm(x)). Where the shape changes, it is a 1 x 1 convolution of
    relu(norm(x)) in either case.
    """

    def __init__(self, channels: int, out: int, stride: int, normed_shortcut: bool = False):
        super().__init__()
        self.enter = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.residual = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
        )
        self.stride, self.normed_shortcut = stride, normed_shortcut
        self.shortcut = nn.Conv2d(channels, out, 1, bias=False) if stride != 1 or channels != out else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (images, channels, h, w) to (images, out, h / stride, w / stride), sides rounded up."""
        normed = self.enter(x)
        if self.shortcut is not None:
            # Strided by slicing: in channels_last, the gradient of a strided 1 x 1 convolution of fewer than 8
            # channels (16 with AVX-512) is wrong and overwrites the heap (uxlfoundation/oneDNN issue 6035).
            x = self.shortcut(normed[:, :, :: self.stride, :: self.stride])
        elif self.normed_shortcut:
            x = normed
        return self.residual(normed).add_(x)


def resnet18k(options: OptionValues, shape: Shape, classes: int) -> nn.Module:
    """Build the network, with the stages conv1, block1 .. block8, pool, linear.

    Weights come from torch's global generator.

    Args:
        options: `width`, the number of channels of the first stage.
        shape: The shape of an image (channels, height, width).
        classes: The number of classes.
    """
    width = int(options["width"])
    stages: dict[str, nn.Module] = {"conv1": nn.Conv2d(shape[0], width, 3, padding=1, bias=False)}
    channels = width
    for block in range(8):
        out, stride = width * 2 ** (block // 2), 2 if block in (2, 4, 6) else 1
        stages[f"block{block + 1}"] = PreActivationBlock(channels, out, stride)
        channels = out
    stages["pool"] = GlobalPool()
    stages["linear"] = nn.Linear(channels, classes)
    network = Staged(stages)
    kaiming(network)
    return network
