"""Protocols of training a stitcher, with their default settings."""

from dataclasses import dataclass

FIT_IMAGES = 5_000  # the most images that the closed form is solved on
STOP_IMAGES = 1_000  # held-out images that decide when to stop: one evaluation costs as much as five steps of training
EVALUATION_INTERVAL = 32  # steps between two evaluations on the held-out images


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


# Steps, batch and lr of `strict` were chosen by measurement on CIFAR-10 (resnet18k of width 8, a bottom of 50,000
# images, a top of 10,000, means over ten cuts):
#   - held-out loss 1.571 from the closed form, 1.035 after 100 steps, 1.013 after 200 (test error 37.4 %);
#   - batches of 128 images reach 1.004 and 37.3 % in 150 steps, which cost 1.5 times as much;
#   - 300 steps of 32 images at 5e-3 reach 1.021 and 37.5 %, and cost at least as much as 200 steps of 64;
#   - learning rates of 1.5e-2 and 2e-2 reach 1.010 there, but if there are few images they move a stitcher away from a
#     good closed form: on the demo's digits (a bottom of 1,200 images, a top of 100, block8) the held-out loss is 0.176
#     at 1.5e-2 and 0.120 at 1e-2.
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
