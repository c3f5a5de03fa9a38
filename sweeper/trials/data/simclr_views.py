"""SimCLR's random views of images: crop, mirror image, colour jitter, greyscale (Chen et al. 2020, appendix A).

A whole batch is computed at once on the images' device, with separate random numbers for each image. As in the paper's
experiments on CIFAR-10 (appendix B.9), colours are jittered with half the strength used for ImageNet, and images are
not blurred. Two differences to the paper's code: the colour operations have a fixed order, and hue is rotated in the
YIQ plane, by one matrix product, instead of in HSV.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

DRAWS = 11  # uniform random numbers for each view
AREA = (0.08, 1.0)  # area of a crop, as a share of the image
ASPECT = (3 / 4, 4 / 3)  # width over height, log-uniform
STRENGTH = 0.5
JITTER_PROBABILITY, GREY_PROBABILITY = 0.8, 0.2
LUMA = (0.299, 0.587, 0.114)
YIQ = (LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))


def view(images: Tensor, draws: Tensor, mirror: bool) -> Tensor:
    """Return a random view of each image, float32 (n, c, h, w) in [0, 1].

    Saturation and hue are changed only if there are three channels.

    Args:
        images: Images, uint8 (n, c, h, w).
        draws: Uniform random numbers in [0, 1), (DRAWS, n).
        mirror: True makes half of the views mirror images.
    """
    area, aspect, down, right, flip, jitter, brightness, contrast, saturation, hue, grey = draws.to(torch.float32)
    x = _crop(images.to(torch.float32) / 255, area, aspect, down, right, (flip < 0.5) & mirror)
    jittered = _scale(x, _factor(brightness))
    jittered = _blend(jittered, _luma(jittered).mean((1, 2, 3), keepdim=True), _factor(contrast))
    if images.shape[1] == 3:
        jittered = _blend(jittered, _luma(jittered), _factor(saturation))
        jittered = _rotate_hue(jittered, 0.2 * STRENGTH * (2 * hue - 1))
    x = torch.where(_per_image(jitter < JITTER_PROBABILITY), jittered, x)
    return torch.where(_per_image(grey < GREY_PROBABILITY), _luma(x), x)


def _crop(x: Tensor, area: Tensor, aspect: Tensor, down: Tensor, right: Tensor, flip: Tensor) -> Tensor:
    """Return a rectangle of each image, resized to the image's size by linear interpolation.

    The arguments are random numbers, (n,), except for `flip`, a bool (n,): whether to mirror the image.
    """
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
    """Return the factor by which brightness, contrast or saturation is multiplied, (n,), around 1."""
    return 1 + 0.8 * STRENGTH * (2 * draw - 1)


def _per_image(values: Tensor) -> Tensor:
    """Reshape one value for each image, (n,), to (n, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)


def _scale(x: Tensor, factor: Tensor) -> Tensor:
    return (x * _per_image(factor)).clamp(0, 1)


def _blend(x: Tensor, towards: Tensor, factor: Tensor) -> Tensor:
    """Interpolate between `towards` (where the factor is 0) and `x` (where it is 1), clamped to [0, 1]."""
    return (towards + (x - towards) * _per_image(factor)).clamp(0, 1)


def _luma(x: Tensor) -> Tensor:
    """Return the perceived brightness, (n, 1, h, w); the mean of the channels if these aren't red, green and blue."""
    if x.shape[1] != 3:
        return x.mean(1, keepdim=True)
    return torch.einsum("nchw,c->nhw", x, x.new_tensor(LUMA)).unsqueeze(1)


def _rotate_hue(x: Tensor, share: Tensor) -> Tensor:
    """Rotate the hue by a share of the full circle, (n,); brightness is unchanged."""
    to_yiq, back = x.new_tensor(YIQ), torch.linalg.inv(torch.tensor(YIQ)).to(x.device)
    sine, cosine = torch.sin(2 * math.pi * share), torch.cos(2 * math.pi * share)
    turn = torch.eye(3, device=x.device).repeat(len(x), 1, 1)
    turn[:, 1, 1], turn[:, 1, 2], turn[:, 2, 1], turn[:, 2, 2] = cosine, -sine, sine, cosine
    return torch.einsum("nij,njhw->nihw", back @ turn @ to_yiq, x).clamp(0, 1)
