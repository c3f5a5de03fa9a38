"""Tests of external networks: their cuts, their stages, and the networks that are refused."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.errors import NetworkError
from sweeper.trials.networks.activations import activations
from sweeper.trials.networks.archs.staged import Staged, stages
from sweeper.trials.networks.cut import bottom, top
from sweeper.trials.networks.fold import ScaleAndShift, fold
from sweeper.trials.networks.state_dicts import from_bytes, to_bytes
from sweeper.trials.networks.traced.check_cuts import check_cuts
from sweeper.trials.networks.traced.construct import make
from sweeper.trials.networks.traced.split_network import SplitNetwork, split_network

IMAGE = (3, 8, 8)


class Residual(nn.Module):
    """x + conv(relu(conv(x)))."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.relu(self.first(x)))


class Outputs(NamedTuple):
    """Logits and a map, as some libraries return them."""

    logits: Tensor
    features: Tensor


class ObjectOutput:
    """Logits in an object."""

    def __init__(self, logits: Tensor):
        self.logits = logits


class Returning(nn.Module):
    """A network that returns what a function makes of its map."""

    def __init__(self, end: Callable[[Tensor], object]):
        super().__init__()
        self.conv, self.end = nn.Conv2d(3, 3, 3), end

    def forward(self, x: Tensor) -> object:
        return self.end(self.conv(x))


class OneBlock(nn.Module):
    """A convolution, a residual block, pooling, a linear layer."""

    def __init__(self, block: nn.Module):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.block = block
        self.head = nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.stem(x)).mean((2, 3)))


class Skip(OneBlock):
    """A network whose stem's output is used again at its end."""

    def forward(self, x: Tensor) -> Tensor:
        stem = self.stem(x)
        return self.head((self.block(stem) * stem).mean((2, 3)))


class Gate(nn.Module):
    """A module that branches on the values of a tensor."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Sized(nn.Module):
    """A module that branches on a size, and multiplies by another."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x, (0, 1)) * x.shape[2] if x.shape[-1] % 2 == 0 else x


def _names(split: SplitNetwork) -> list[str]:
    return [cut.name for cut in split.card.cuts]


def _images(count: int = 3) -> Tensor:
    return torch.randn(count, *IMAGE, generator=torch.Generator().manual_seed(0))


def _agrees(network: nn.Module, split: SplitNetwork, images: Tensor) -> None:
    """Assert that bottom and top at every cut compute the network, and that shapes are those of the card."""
    with torch.no_grad():
        logits = network(images)
        for cut in split.card.cuts:
            tensor = bottom(split.staged, cut.name)(images)
            assert tensor.shape == (len(images), *cut.shape)
            assert torch.equal(top(split.staged, cut.name)(tensor), logits), cut.name


def test_a_residual_block_is_cut_before_and_after_and_not_inside() -> None:
    network = OneBlock(Residual(4))
    split = split_network(network, IMAGE)
    assert _names(split) == ["stem", "block", "mean"]
    assert [cut.position for cut in split.card.cuts] == [1, 2, 3]
    assert [cut.depth for cut in split.card.cuts] == [1 / 4, 3 / 4, 3 / 4]
    assert [cut.shape for cut in split.card.cuts] == [(4, 8, 8), (4, 8, 8), (4,)]
    conv = 2 * 9 * 64 * 4
    assert [cut.flops for cut in split.card.cuts] == [3 * conv, 11 * conv, 11 * conv]
    assert split.card.flops == 11 * conv + 2 * 4 * 10
    assert split.card.parameters == sum(weights.numel() for weights in network.parameters())
    assert not split.untraceable
    _agrees(network, split, _images())


def test_a_block_with_a_skip_across_it_has_no_cuts() -> None:
    network = Skip(Residual(4))
    split = split_network(network, IMAGE)
    assert _names(split) == ["stem", "mul", "mean"]  # none at the block's end
    _agrees(network, split, _images())


def test_a_skip_from_the_images_leaves_no_cut_before_it_ends() -> None:
    class Dense(OneBlock):
        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.cat([x, self.block(self.stem(x))[:, :1]], 1).mean((2, 3)))

    split = split_network(Dense(nn.Identity()), IMAGE)
    assert _names(split) == ["cat", "mean"]


def test_a_module_that_branches_on_values_is_not_split_and_is_named() -> None:
    network = OneBlock(nn.Sequential(Residual(4), Gate(), nn.ReLU()))
    split = split_network(network, IMAGE)
    assert list(split.untraceable) == ["block.1"]
    assert "control flow" in split.untraceable["block.1"]
    assert _names(split) == ["stem", "block.0", "block.1", "block.2", "mean"]
    _agrees(network, split, _images())


def test_a_network_that_branches_on_values_itself_is_refused_by_name() -> None:
    with pytest.raises(NetworkError, match=r"Gate\.forward can't be traced: .*control flow"):
        split_network(Gate(), IMAGE)


def test_a_branch_on_sizes_is_traced_for_the_given_size() -> None:
    network = OneBlock(Sized())
    split = split_network(network, IMAGE)
    assert not split.untraceable
    assert [cut.shape for cut in split.card.cuts if cut.name == "block"] == [(4, 8, 9)]
    _agrees(network, split, _images())
    assert _names(split_network(network, (3, 8, 9))) == ["stem", "mean"]  # the other branch


def test_the_size_of_the_batch_does_not_cross_a_cut() -> None:
    class Reshaped(OneBlock):
        def forward(self, x: Tensor) -> Tensor:
            images, height = x.shape[0], x.shape[2]
            x = self.block(self.stem(x))
            return self.head(x.reshape(images * height, -1).reshape(images, height, 4, -1).mean((1, 3)))

    network = Reshaped(nn.ReLU())
    split = split_network(network, IMAGE)
    assert _names(split) == ["stem", "block", "reshape_1", "mean"]  # not where rows stand for images
    for count in (1, 2, 5):
        _agrees(network, split, _images(count))


def test_an_operation_in_place_leaves_the_tensor_at_a_cut_as_it_was() -> None:
    """Check networks with an in-place ReLU, also one that changes a view of the tensor."""

    class InPlace(OneBlock):
        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            flat = x.flatten(1)
            flat.relu_()
            return self.head((x - 1).mean((2, 3)))

    for network in (InPlace(nn.Identity()), OneBlock(nn.ReLU(inplace=True)), OneBlock(nn.Sequential(nn.ReLU(True)))):
        split, images = split_network(network, IMAGE), _images()
        with torch.no_grad():
            stem = network.stem(images)
            assert (stem < 0).any()
            assert torch.equal(activations(split.staged, images, _names(split))["stem"], stem)
        _agrees(network, split, images)


def test_names_of_cuts_are_unique_paths_of_modules() -> None:
    class Twice(OneBlock):
        def forward(self, x: Tensor) -> Tensor:
            x = functional.relu(self.block(functional.relu(self.block(self.stem(x)))))
            return self.head(x.mean((2, 3)))

    network = Twice(nn.Sequential(nn.Sequential(nn.Conv2d(4, 4, 1), nn.Dropout()), nn.BatchNorm2d(4)))
    split = split_network(network, IMAGE)
    assert _names(split) == ["stem", "block.0.0", "block.1", "relu", "block.0.0_1", "block.1_1", "relu_1", "mean"]
    _agrees(network, split, _images())


def test_weights_used_in_two_places_are_written_and_read() -> None:
    class Shared(OneBlock):
        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.block(self.block(self.stem(x))).mean((2, 3)))

    def split_staged(seed: int) -> Staged:
        torch.manual_seed(seed)
        return split_network(Shared(nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))), IMAGE).staged

    original, loaded = split_staged(1), split_staged(2)
    loaded.load_state_dict(from_bytes(to_bytes(original)))
    with torch.no_grad():
        assert torch.equal(original(_images()), loaded(_images()))
        _set_random_averages(original)
        assert torch.allclose(fold(original)(_images()), original(_images()), rtol=1e-4, atol=1e-5)


def test_values_that_depend_only_on_weights_follow_the_weights() -> None:
    class Scaled(OneBlock):
        def __init__(self) -> None:
            super().__init__(nn.ReLU())
            self.scale = nn.Parameter(torch.ones(4, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            scale = self.scale * 2
            return self.head(((self.block(self.stem(x) * scale)) * scale).mean((2, 3)))

    network = Scaled()
    split = split_network(network, IMAGE)
    with torch.no_grad():
        network.scale.fill_(3)
    _agrees(network, split, _images())
    assert "block" in _names(split)


def test_maps_with_channels_last_have_channels_first_at_cuts() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.norm, self.mix = nn.Conv2d(3, 5, 3, 2, 1), nn.LayerNorm(5), nn.Linear(5, 6)
            self.head = nn.Linear(6, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = self.norm(self.stem(x).permute(0, 2, 3, 1))
            return self.head(self.mix(x).relu().mean((1, 2)))

    network = Last()
    split = split_network(network, IMAGE)
    shapes = {cut.name: cut.shape for cut in split.card.cuts}
    assert shapes == {"stem": (5, 4, 4), "norm": (5, 4, 4), "mix": (6, 4, 4), "relu": (6, 4, 4), "mean": (6,)}
    _agrees(network, split, _images())


def test_layers_that_depend_on_train_or_eval_mode_still_do() -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + 1 if self.training else x

    split = split_network(OneBlock(nn.Sequential(Noisy(), nn.BatchNorm2d(4))), IMAGE)
    block = stages(split.staged)["block.0"]
    x = torch.zeros(2, 4, 8, 8)
    assert not block.train(False)(x).any()
    assert block.train()(x).all()
    norm = next(module for module in split.staged.modules() if isinstance(module, nn.BatchNorm2d))
    split.staged.train()(_images())
    assert norm.running_mean is not None
    assert norm.running_mean.any()


def test_norms_fold_into_convolutions_of_a_graph() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
            self.last_norm = nn.BatchNorm2d(4, affine=False)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.last_norm(self.norm(self.conv(x)).relu())

    staged = split_network(OneBlock(Plain()), IMAGE).staged
    _set_random_averages(staged)
    folded = fold(staged)
    kinds = [type(module) for module in folded.modules()]
    assert (kinds.count(nn.BatchNorm2d), kinds.count(nn.Identity), kinds.count(ScaleAndShift)) == (0, 1, 1)
    with torch.no_grad():
        assert torch.allclose(folded(_images()), staged(_images()), rtol=1e-4, atol=1e-5)


def test_a_subclass_of_a_norm_is_not_folded() -> None:
    class Activated(nn.BatchNorm2d):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input).relu()

    staged = split_network(OneBlock(Activated(4)), IMAGE).staged
    _set_random_averages(staged)
    with torch.no_grad():
        assert torch.allclose(fold(staged)(_images()), staged(_images()), rtol=1e-4, atol=1e-5)


def _set_random_averages(staged: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    for module in staged.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, generator=generator)
            nn.init.uniform_(module.running_var, 0.2, 3, generator=generator)


class TestProbe:
    def test_the_card_lists_the_cuts(self) -> None:
        split = check_cuts(OneBlock(Residual(4)), IMAGE)
        assert [cut.name for cut in split.card.cuts] == ["stem", "block", "mean"]
        assert split.exact

    def test_a_last_layer_of_zeros_gets_noise(self) -> None:
        network = OneBlock(Residual(4))
        nn.init.zeros_(network.head.weight)
        assert check_cuts(network, IMAGE).exact

    def test_a_network_with_equal_logits_for_all_images_is_refused(self) -> None:
        class Constant(OneBlock):
            def forward(self, x: Tensor) -> Tensor:
                return super().forward(x) * 0

        with pytest.raises(NetworkError, match="the same logits for any two images"):
            check_cuts(Constant(Residual(4)), IMAGE)

    def test_stages_that_compute_something_else_are_refused(self) -> None:
        class Changing(OneBlock):
            calls = 0

            def forward(self, x: Tensor) -> Tensor:
                self.calls += 1  # what a trace can't see
                return super().forward(x) + self.calls

        with pytest.raises(NetworkError, match="compute other logits"):
            check_cuts(Changing(Residual(4)), IMAGE)

    @pytest.mark.parametrize(
        ("network", "image", "message"),
        [
            (OneBlock(nn.ReLU()), (1, 8, 8), "OneBlock can't take images of 1x8x8"),
            (nn.Conv2d(3, 4, 3), IMAGE, "where one row of logits is needed; pool or flatten the map first"),
            (Returning(lambda x: x.mean((2, 3), keepdim=True)), IMAGE, r"returns 3x1x1 .* \.flatten\(1\)"),
            (Returning(lambda x: (x.mean((2, 3)), x)), IMAGE, "Returning returns a tuple of 2 values"),
            (Returning(lambda x: [x.mean((2, 3))]), IMAGE, "Returning returns a list of 1 values"),
            (Returning(lambda x: {"logits": x.mean((2, 3)), "map": x}), IMAGE, "a dictionary with logits, map"),
            (Returning(lambda x: Outputs(x.mean((2, 3)), x)), IMAGE, "return the logits alone"),
            (Returning(lambda x: ObjectOutput(x)), IMAGE, "an object of the class ObjectOutput"),
            (Returning(lambda x: x.mean((2, 3)).argmax(1)), IMAGE, "as a floating-point tensor"),
            (Returning(lambda x: x.mean()), IMAGE, "one row of logits for each image"),
        ],
    )
    def test_a_network_that_cannot_be_split_is_refused(
        self, network: nn.Module, image: tuple[int, ...], message: str
    ) -> None:
        with pytest.raises(NetworkError, match=message) as caught:
            check_cuts(network, image)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("outputs", [3, 12])
    def test_another_number_of_outputs_than_classes_is_refused(self, outputs: int) -> None:
        network = nn.Sequential(nn.Flatten(), nn.Linear(192, outputs))
        with pytest.raises(NetworkError, match=f"has {outputs} outputs, and the data set has 10 classes"):
            check_cuts(network, IMAGE, 10)


QUICK = [
    ("torchvision:resnet18", 32, 22, "layer4.1"),
    ("torchvision:mobilenet_v3_small", 32, 57, "features.4"),
    ("torchvision:squeezenet1_1", 32, 32, "features.12"),
    ("torchvision:densenet121", 32, 24, "features.denseblock3"),
    ("torchvision:vit_b_16", 32, 31, "encoder.layers.encoder_layer_7"),
    ("torchvision:googlenet", 32, 24, "inception5b"),
]


@pytest.mark.parametrize(("name", "side", "cuts", "among"), QUICK)
def test_torchvisions_networks_are_cut(name: str, side: int, cuts: int, among: str) -> None:
    split = check_cuts(make(name, (3, side, side), 10), (3, side, side))
    names = [cut.name for cut in split.card.cuts]
    assert len(names) == len(set(names)) == cuts
    assert among in names
    assert split.exact
    assert all(a.depth <= b.depth and a.flops <= b.flops for a, b in itertools.pairwise(split.card.cuts))


def test_a_dense_block_has_no_cut_inside() -> None:
    split = split_network(make("torchvision:densenet121", (3, 32, 32), 10), (3, 32, 32))
    assert not [name for name in _names(split) if name.startswith("features.denseblock1.")]


def _documented() -> list[Any]:
    """Return the networks of docs/networks.md that can be cut, without the largest."""
    page = (Path(__file__).parents[4] / "docs" / "networks.md").read_text()
    rows = re.findall(r"^\| `(torchvision:\w+)` \| (\d+) \|", page, flags=re.M)
    return [pytest.param(name, int(cuts), id=name) for name, cuts in rows if not re.search(r"128gf|_h_14|_l_", name)]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "cuts"), _documented())
def test_the_documented_networks_are_cut_as_documented(name: str, cuts: int) -> None:
    side = 224 if "maxvit" in name else 96
    assert len(check_cuts(make(name, (3, side, side), 1000), (3, side, side)).card.cuts) == cuts
