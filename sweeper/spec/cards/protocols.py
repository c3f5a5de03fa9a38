"""How a stitcher is trained: what each protocol means and the settings it takes where a job says nothing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Protocol:
    name: str
    meaning: str
    steps: int
    batch: int
    lr: float
    augment: str  # "data": the data set's own default


STRICT = Protocol(
    name="strict",
    meaning="both halves in eval mode, untouched; starts from the closed form, stops when held-out images say so",
    steps=300,
    batch=256,
    lr=1e-3,
    augment="none",
)
PAPER = Protocol(
    name="paper",
    meaning="the authors' code: the whole network in train mode, its norms move; Adam, cosine to 0 over fixed steps",
    steps=120_000,
    batch=128,
    lr=1e-3,
    augment="data",
)
PROTOCOLS = {protocol.name: protocol for protocol in (STRICT, PAPER)}
