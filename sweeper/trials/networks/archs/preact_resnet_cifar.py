"""The pre-activation ResNets of 6n + 2 layers for small images that Bansal et al. 2021 use.

Their code takes them from a public collection (github.com/hysts/pytorch_image_classification, `resnet_preact`) with the
options `block_type: basic`, `preact_stage: [true, true, true]`, `remove_first_relu: false` and `add_last_bn: false`. So
the shortcut of the first block of every stage reads relu(norm(x)), also where the shape doesn't change, and that of
every other block reads x. `resnet_cifar` is the post-activation family of He et al. 2016.
"""

from torch import nn

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.trials.networks.archs.resnet import PreActivationBlock
from sweeper.trials.networks.archs.staged import GlobalPool, Staged, kaiming


def preact_resnet_cifar(options: OptionValues, shape: Shape, classes: int) -> nn.Module:
    """Build the network, with the stages conv1, block1 .. block<3n>, pool (norm, ReLU, mean), linear.

    Weights come from torch's global generator.

    Args:
        options: `blocks`, which is n, and `width`, the number of channels of the first stage.
        shape: The shape of an image (channels, height, width).
        classes: The number of classes.
    """
    blocks, width = int(options["blocks"]), int(options["width"])
    stages: dict[str, nn.Module] = {"conv1": nn.Conv2d(shape[0], width, 3, padding=1, bias=False)}
    channels = width
    for block in range(3 * blocks):
        out, stride = width * 2 ** (block // blocks), 2 if block in (blocks, 2 * blocks) else 1
        stages[f"block{block + 1}"] = PreActivationBlock(channels, out, stride, normed_shortcut=block % blocks == 0)
        channels = out
    stages["pool"] = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True), GlobalPool())
    stages["linear"] = nn.Linear(channels, classes)
    network = Staged(stages)
    kaiming(network)
    return network
