"""The vision transformer (Dosovitskiy et al. 2021), pre-norm, for images of any size that its patches divide.

The logits are computed from the mean of the last block's normed tokens, not from a class token (Beyer et al. 2022,
Better plain ViT baselines, find the mean as good or better). So all tokens are patches, row by row from the image's top
left: one token-wise map, such as the paper's 768 x 768 linear stitcher, suits all of them, and tokens can be arranged
as a map. There is no dropout.

At initialisation the weights of linear maps have variance 1 / fan_in, those of the patches' map 2 / fan_in, and
position vectors variance 1, the same as the patches. With a standard deviation of 0.02 for positions, as in Dosovitskiy
et al., the network initially ignores the order of patches, and the error after a short run of SGD is higher (digits,
patch 2, dim 48, depth 3, 600 steps: 11 % instead of 2 %).
"""

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.trials.networks.archs.staged import Staged, kaiming


class Embed(nn.Module):
    """The map from images (images, channels, height, width) to tokens (images, patches, dim).

    A token is a linear map of its patch plus a learned vector for its position.
    """

    def __init__(self, shape: Shape, patch: int, dim: int):
        super().__init__()
        channels, height, width = shape
        self.patches = nn.Conv2d(channels, dim, patch, stride=patch)
        self.position = nn.Parameter(torch.empty(height // patch * (width // patch), dim))

    def forward(self, images: Tensor) -> Tensor:
        """Return the tokens, row by row from the top left of the image."""
        return self.patches(images).flatten(2).transpose(1, 2) + self.position


class Attention(nn.Module):
    """Multi-head self-attention of (images, tokens, dim)."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.enter = nn.Linear(dim, 3 * dim)  # queries, keys and values, each (heads, dim / heads)
        self.leave = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return (images, tokens, dim), where each token is computed from all tokens of its image."""
        queries, keys, values = self.enter(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        # The fused kernels of a GPU sum gradients in a random order, but the same pack must give the same bits.
        with sdpa_kernel(SDPBackend.MATH) if x.is_cuda else nullcontext():
            mixed = scaled_dot_product_attention(queries, keys, values)  # (images, heads, tokens, dim / heads)
        return self.leave(mixed.transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """A transformer block: x + attention(norm(x)), then x + perceptron(norm(x))."""

    def __init__(self, dim: int, heads: int, hidden: int):
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(dim), Attention(dim, heads))
        self.perceptron = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Return (images, tokens, dim)."""
        x = x + self.attention(x)
        return x + self.perceptron(x)


class Pool(nn.Module):
    """The mean of the normed tokens: (images, tokens, dim) to (images, dim)."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean of the normed tokens, (images, dim)."""
        return self.norm(x).mean(1)


def vit(options: OptionValues, shape: Shape, classes: int) -> nn.Module:
    """Build the network, with the stages embed, block1 .. block<depth>, pool, linear.

    Weights come from torch's global generator.

    Args:
        options: `patch`, the side of a patch; `depth`, the number of blocks; `dim`, the features of a token; `heads`,
            which divides `dim`; and `mlp_ratio`: a perceptron has `mlp_ratio * dim` hidden units.
        shape: The shape of an image (channels, height, width), whose sides are multiples of `patch`.
        classes: The number of classes.
    """
    patch, depth, dim, heads, ratio = (int(options[name]) for name in ("patch", "depth", "dim", "heads", "mlp_ratio"))
    embed = Embed(shape, patch, dim)
    blocks = {f"block{i}": TransformerBlock(dim, heads, ratio * dim) for i in range(1, depth + 1)}
    network = Staged({"embed": embed, **blocks, "pool": Pool(dim), "linear": nn.Linear(dim, classes)})
    kaiming(network)
    nn.init.normal_(embed.position)
    return network
