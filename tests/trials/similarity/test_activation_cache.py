"""Tests of the activations of test images: the number of passes, and the cache."""

import pytest
import torch
from support.packs import cuts, model
from support.training_runs import DIGITS

from sweeper.spec.cards.archs import network
from sweeper.spec.cards.card import OUTPUT
from sweeper.trials.data.load import load_dataset
from sweeper.trials.networks.activations import activations
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.network import Images, Network
from sweeper.trials.similarity import activation_cache
from sweeper.trials.similarity.activation_cache import NetworkActivations

CARD = network("resnet18k", {"width": 8}, DIGITS.shape, DIGITS.classes)
SHAPES = {cut.name: cut.shape for cut in (*CARD.cuts, CARD.output(10))}
POOL_BYTES, OUTPUT_BYTES = (4 * 450 * features for features in (64, 10))


@pytest.fixture(scope="module")
def images() -> Images:
    """Return the digits data set on the CPU."""
    return Images.from_dataset(load_dataset(DIGITS), torch.device("cpu"))


@pytest.fixture(scope="module")
def a_network(images: Images) -> Network:
    """Return a network with random weights."""
    training = model().training
    return Network(build(training.arch, training.options, DIGITS.shape, DIGITS.classes), "weights", images)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Record the stages of each pass; the test images of digits are one batch."""
    stages_by_pass: list[list[str]] = []

    def recording_activations(
        network: torch.nn.Module, batch: torch.Tensor, stages: list[str]
    ) -> dict[str, torch.Tensor]:
        stages_by_pass.append(sorted(stages))
        return activations(network, batch, stages)

    monkeypatch.setattr(activation_cache, "activations", recording_activations)
    return stages_by_pass


def test_every_cut_and_the_output_come_from_one_pass(a_network: Network, images: Images, passes: list) -> None:
    activations_by_cut = NetworkActivations(a_network, images, SHAPES, 2**30)
    for name, shape in SHAPES.items():
        assert activations_by_cut.at(name).features.shape == (450, torch.Size(shape).numel())
    assert passes == [sorted([*cuts(), "linear"])]
    ((batch, _),) = images.test_batches()
    with torch.no_grad():
        assert torch.equal(activations_by_cut.at(OUTPUT).features, a_network.folded(batch))


def test_late_cuts_are_cached_and_only_the_last_requested_of_the_others(
    a_network: Network, images: Images, passes: list
) -> None:
    activations_by_cut = NetworkActivations(a_network, images, SHAPES, POOL_BYTES + OUTPUT_BYTES)
    order = ["pool", OUTPUT, "conv1", "conv1", "block1", "pool", "conv1"]
    for name in order:
        activations_by_cut.at(name)
    assert passes == [["linear", "pool"], ["conv1"], ["block1"], ["conv1"]]


def test_derived_quantities_are_dropped_before_activations(a_network: Network, images: Images, passes: list) -> None:
    activations_by_cut = NetworkActivations(a_network, images, {"pool": (64,)}, 3 * POOL_BYTES)
    spectrum = activations_by_cut.at("pool").spectrum  # a centred copy and 64 x 64 in double precision
    activations_by_cut.trim()
    assert activations_by_cut.at("pool").spectrum is spectrum
    activations_by_cut.at("pool").get_or_compute("large", lambda: torch.zeros(POOL_BYTES))
    activations_by_cut.trim()
    assert activations_by_cut.at("pool").bytes == POOL_BYTES
    assert activations_by_cut.at("pool").spectrum is not spectrum
    assert passes == [["pool"]]
