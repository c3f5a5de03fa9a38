"""SimCLR's views of an image: a random crop, a mirror image, colours moved or gone (Chen et al. 2020, appendix A).

Whole batches at a time on the images' device, each image with draws of its own. As on CIFAR-10 in the paper (appendix
B.9) colours are moved with half the strength of ImageNet's, and nothing is blurred. Differences: the colour operations
come in one order, and hue is turned in the YIQ plane, one matrix product, where the paper's code goes through HSV.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

DRAWS = 11  # uniform numbers that a view takes
AREA = (0.08, 1.0)  # of a crop, as a share of the image
ASPECT = (3 / 4, 4 / 3)  # width over height, log-uniform
STRENGTH = 0.5
JITTERED, GREY = 0.8, 0.2  # probabilities
LUMA = (0.299, 0.587, 0.114)
YIQ = (LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))


def view(images: Tensor, draws: Tensor, mirror: bool) -> Tensor:
    """A view of each image: float32 (n, c, h, w) in [0, 1].

    images: uint8 (n, c, h, w); draws: float (DRAWS, n) in [0, 1); mirror: whether half of the views are mirror images.
    Saturation and hue are left alone where there are no three channels.
    """
    area, aspect, down, right, flip, jitter, brightness, contrast, saturation, hue, grey = draws.to(torch.float32)
    x = _crop(images.to(torch.float32) / 255, area, aspect, down, right, (flip < 0.5) & mirror)
    jittered = _scaled(x, _factor(brightness))
    jittered = _blend(jittered, _luma(jittered).mean((1, 2, 3), keepdim=True), _factor(contrast))
    if images.shape[1] == 3:
        jittered = _blend(jittered, _luma(jittered), _factor(saturation))
        jittered = _turn(jittered, 0.2 * STRENGTH * (2 * hue - 1))
    x = torch.where(_each(jitter < JITTERED), jittered, x)
    return torch.where(_each(grey < GREY), _luma(x), x)


def _crop(x: Tensor, area: Tensor, aspect: Tensor, down: Tensor, right: Tensor, flip: Tensor) -> Tensor:
    """A box of each image, brought to the image's size by linear interpolation."""
    share = AREA[0] + (AREA[1] - AREA[0]) * area
    low, high = map(math.log, ASPECT)
    ratio = torch.exp(low + (high - low) * aspect)
    width, height = (share * ratio).sqrt().clamp(max=1), (share / ratio).sqrt().clamp(max=1)
    # grid_sample's coordinates go from -1 to 1 across the image.
    x_centre, y_centre = (1 - width) * (2 * right - 1), (1 - height) * (2 * down - 1)
    zero = torch.zeros_like(width)
    across = torch.stack([torch.where(flip, -width, width), zero, x_centre], 1)
    along = torch.stack([zero, height, y_centre], 1)
    grid = functional.affine_grid(torch.stack([across, along], 1), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _factor(draw: Tensor) -> Tensor:
    """Around 1: how much of a brightness, contrast or saturation is left."""
    return 1 + 0.8 * STRENGTH * (2 * draw - 1)


def _each(values: Tensor) -> Tensor:
    """One value an image, (n, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)


def _scaled(x: Tensor, factor: Tensor) -> Tensor:
    return (x * _each(factor)).clamp(0, 1)


def _blend(x: Tensor, towards: Tensor, factor: Tensor) -> Tensor:
    """x where the factor is 1, `towards` where it is 0."""
    return (towards + (x - towards) * _each(factor)).clamp(0, 1)


def _luma(x: Tensor) -> Tensor:
    """Brightness as the eye sees it, (n, 1, h, w); the mean where the channels aren't red, green and blue."""
    if x.shape[1] != 3:
        return x.mean(1, keepdim=True)
    return torch.einsum("nchw,c->nhw", x, x.new_tensor(LUMA)).unsqueeze(1)


def _turn(x: Tensor, share: Tensor) -> Tensor:
    """Colours turned by a share of the full circle, brightness kept."""
    to_yiq, back = x.new_tensor(YIQ), torch.linalg.inv(torch.tensor(YIQ)).to(x.device)
    sine, cosine = torch.sin(2 * math.pi * share), torch.cos(2 * math.pi * share)
    turn = torch.eye(3, device=x.device).repeat(len(x), 1, 1)
    turn[:, 1, 1], turn[:, 1, 2], turn[:, 2, 1], turn[:, 2, 2] = cosine, -sine, sine, cosine
    return torch.einsum("nij,njhw->nihw", back @ turn @ to_yiq, x).clamp(0, 1)
