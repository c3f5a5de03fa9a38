"""Settings of a small network of each architecture, for tests that run on all of them."""

from collections.abc import Mapping

from sweeper.spec.cards.card import OptionValues

# Sizes are odd where possible, to reveal confused dimensions; all fit images of 4 x 4 and larger.
TINY: Mapping[str, OptionValues] = {
    "resnet18k": {"width": 3},
    "myrtle": {"width": 3},
    "preact_resnet_cifar": {"blocks": 1, "width": 3},
    "resnet_cifar": {"blocks": 1, "width": 3},
    "vit": {"patch": 2, "depth": 2, "dim": 6, "heads": 3, "mlp_ratio": 2},
    "mlp": {"depth": 2, "width": 5},
}
