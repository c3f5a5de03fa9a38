"""Protocol paper: as the authors' code trains (Bansal et al. 2021).

The whole stitched network is in train mode: the weights of the halves are frozen, but their batch norms use the
statistics of the batch and move their running averages, which evaluation then uses. Adam on the stitcher from its
random initialisation, the learning rate falls to 0 along a cosine over a fixed number of steps.

A sees the same batches whatever stands behind it, so one copy of it with one set of moving averages serves all
stitches of a stream. Each top has moving averages of its own; its weights are shared with the network it is cut from,
unless it trains with the stitcher: then they are its own, and Adam's too.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from math import cos, pi
from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional

from sweeper.trials.process.numerics import autocast_step
from sweeper.trials.stitching.stitched_network import Batch, Joint, Point, attempt, living, shared, trains

POINTS = 20  # of a stitch's learning curve

M = TypeVar("M", bound=nn.Module)


def moving(module: M) -> M:
    """A copy in train mode whose batch norms move on their own, while the weights stay shared and frozen."""
    weights = {id(weight): weight for weight in module.parameters()}
    return copy.deepcopy(module, weights).requires_grad_(False).train()


def train(joints: Sequence[Joint], batch: Callable[[int], Batch]) -> Iterator[list[Joint]]:
    """Trains what each joint trains, in place; yields those that end at the same step together, in eval mode, while
    whatever `batch` computes A's tensors with stands where it stood at their last step.

    batch(step): A's tensors in train mode and the labels for a step, from 0. The joints' tops are in train mode:
    `moving`, or copies where they train. One that fails is yielded at the end of its steps with its `error`.
    """
    for joint in joints:
        joint.stitcher.train()
    optimizers = {
        joint: torch.optim.Adam(joint.learning.parameters(), lr=joint.lr) for joint in joints if trains(joint)
    }
    losses = {joint: [] for joint in optimizers}

    def step(group: Sequence[Joint]) -> None:
        for joint in group:
            optimizer = optimizers[joint]
            optimizer.param_groups[0]["lr"] = joint.lr * (1 + cos(pi * joint.taken / joint.steps)) / 2
            optimizer.zero_grad()
            with autocast_step():
                logits = joint(feed).float()
            loss = functional.cross_entropy(logits, labels)
            loss.backward()
            optimizer.step()
            losses[joint].append(loss.detach())
            joint.taken += 1
            if joint.taken % max(1, joint.steps // POINTS) == 0:
                joint.train_loss = float(torch.stack(losses[joint]).mean())
                joint.curve.append(Point(joint.taken, "train", joint.train_loss, None))
                losses[joint].clear()

    pupils = list(optimizers)
    done = 0
    if idle := [joint for joint in joints if joint not in optimizers]:
        yield _ended(idle)
    while pupils:
        with shared(pupils):
            feed, labels = batch(done)
        done += 1
        for joint in living(pupils):
            attempt([joint], step)
        ended = [joint for joint in pupils if joint.steps <= done or joint.error]
        pupils = [joint for joint in pupils if joint not in ended]
        if ended:
            yield _ended(ended)


def _ended(joints: list[Joint]) -> list[Joint]:
    for joint in joints:
        joint.stitcher.eval()
        joint.top.eval()
    return joints
