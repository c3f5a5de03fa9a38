"""Protocols of training a stitcher, with their default settings."""

from dataclasses import dataclass

FIT_IMAGES = 5_000  # the most images that the closed form is solved on
STOP_IMAGES = 1_000  # held-out images that decide when to stop: one evaluation costs as much as five steps of training
PHASE_STEPS = 64  # the fewest steps of a phase of `strict`, which ends with two evaluations on the held-out images


@dataclass(frozen=True, slots=True)
class Protocol:
    """A way of training a stitcher, with its default settings; a job may change steps, batch, rate and augmentation."""

    name: str
    meaning: str
    steps: int
    batch: int
    lr: float
    top_lr: float  # the learning rate if B's top is trained too (`train: top`)
    augment: str  # "data": the data set's own default
    stops: bool  # True: training may stop before all its steps are done


# Steps, batch and lr of `strict` were chosen by held-out losses, as bench/minimum.py measures them: stitches of digits
# (resnet18k of width 16, 100 and 1,200 images) and of CIFAR-10 (width 8, 2,000 and 20,000 images), relative to 3,000
# steps of plain Adam from a random start, means over the stitches at a cut:
#   - a constant rate of 1e-2, not relative to the width, in 200 steps: 0.87 at block2, 0.98 at block4, 1.50 at block6;
#   - three phases (a quarter of the rate, the rate, half of it) of 66 steps at 0.15: 0.89, 0.88, 1.09;
#   - the same at 0.25: 0.94, 1.11, 1.11; phases of 130 steps of 32 images at 0.15: 0.89, 0.77, 1.05, in 1.5 times the
#     time; a phase at the full rate before one at a quarter of it, of 100 steps each: 1.02, 0.96, 1.12.
# On CIFAR-10 all of them are between 0.92 and 1.01. With the weights halfway through each phase measured as well, the
# three phases at 0.15 have means of 0.60 at block2, 0.82 at block4 and 0.88 at block6 of digits, now relative to the
# mean of three seeds of plain Adam. Four phases of 48 steps (the same and then a second at the full rate) have 0.64,
# 0.79 and 0.85, with 1.22 for one stitch, where three phases have 1.20.
#
# `top_lr` was chosen by the test error of the top of a ResNet-20 of width 8 on a random bottom, at three cuts, after
# 100 steps (without whitened steps): 57.6, 65.8 and 76.9 % at 3e-4; 53.9, 63.5 and 75.3 % at 1e-3; 72.2, 80.9 and
# 76.9 % at 3e-3; 90.7, 89.5 and 79.5 % at 1e-2.
STRICT = Protocol(
    name="strict",
    meaning="bottom and top are frozen and in eval mode; the stitcher starts from its closed form, and training stops "
    "when the loss on held-out images no longer falls",
    steps=192,
    batch=64,
    lr=0.15,
    top_lr=1e-3,
    augment="none",
    stops=True,
)
PAPER = Protocol(
    name="paper",
    meaning="the procedure of the authors' code: batch norms in train mode, so that their running averages change; "
    "Adam, a learning rate that falls to 0 along a cosine, and a fixed number of steps",
    steps=120_000,
    batch=128,
    lr=1e-3,
    top_lr=1e-3,
    augment="data",
    stops=False,
)
PROTOCOLS = {protocol.name: protocol for protocol in (STRICT, PAPER)}
