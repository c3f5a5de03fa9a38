"""Tests of external networks by name: their weights from seeds and files, and the names that are refused."""

import importlib
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from sweeper.errors import NetworkError, UsageError
from sweeper.trials.networks.traced.check_cuts import check_cuts
from sweeper.trials.networks.traced.construct import make

IMAGE = (3, 8, 8)


def test_the_seed_alone_decides_the_weights() -> None:
    generator_state = torch.random.get_rng_state()
    first, same_seed, other_seed = (make("torchvision:squeezenet1_1", IMAGE, 5, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), generator_state)
    for a, b, c in zip(first.parameters(), same_seed.parameters(), other_seed.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.dim() == 1 or not torch.equal(a, c)


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_weights_come_from_a_file(tmp_path: Path, suffix: str) -> None:
    from safetensors.torch import save_file

    saved = make("torchvision:squeezenet1_1", IMAGE, 5, seed=3)
    path = tmp_path / f"weights.{suffix}"
    save_file(saved.state_dict(), path) if suffix == "safetensors" else torch.save(saved.state_dict(), path)
    read = make("torchvision:squeezenet1_1", IMAGE, 5, weights=str(path))
    assert all(torch.equal(a, b) for a, b in zip(saved.parameters(), read.parameters(), strict=True))
    with pytest.raises(NetworkError, match="5 classes, the network has 6"):
        make("torchvision:squeezenet1_1", IMAGE, 6, weights=str(path))


def test_lazy_layers_get_their_weights_from_the_seed_and_from_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lazy.py").write_text(
        "from torch import nn\n"
        "def net(num_classes):\n"
        "    layers = nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten()\n"
        "    return nn.Sequential(*layers, nn.LazyLinear(num_classes))\n"
        "def unused():\n    net = nn.Sequential(nn.Flatten())\n    net.extra = nn.Identity()\n"
        "    net.extra.layer = nn.LazyLinear(3)\n    return net\n"
        "def small():\n    return nn.Sequential(nn.LazyConv2d(4, 99))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    importlib.invalidate_caches()
    one, again, other = (make("lazy:net", IMAGE, 4, seed=seed, trust=True) for seed in (0, 0, 1))
    assert torch.equal(one[3].weight, again[3].weight)
    assert not torch.equal(one[3].weight, other[3].weight)
    assert one.training
    assert check_cuts(one, IMAGE, 4).card.parameters
    torch.save(other.state_dict(), tmp_path / "lazy.pt")
    filled = make("lazy:net", IMAGE, 4, weights=str(tmp_path / "lazy.pt"), trust=True)
    assert torch.equal(filled[3].weight, make("lazy:net", IMAGE, 4, seed=1, trust=True)[3].weight)
    with pytest.raises(NetworkError, match=r"lazy:small has lazy layers, and no image of 3x8x8 can pass"):
        make("lazy:small", IMAGE, 4, trust=True)
    with pytest.raises(NetworkError, match=r"extra\.layer\.weight.*remove them"):
        make("lazy:unused", IMAGE, 4, trust=True)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"weight": nn.ReLU()}, path)
    with pytest.raises(NetworkError, match="a whole pickled network of the class"):
        make("torchvision:squeezenet1_1", IMAGE, 5, weights=str(path))


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("torchvision:resnet19", "none", "did you mean 'torchvision:resnet18'"),
        ("torchvision:resnet18", "IMAGENET1K_V9", "it has IMAGENET1K_V1"),
        ("torchvision:resnet18", "gone.safetensors", "no file gone.safetensors"),
        ("torch.nn:Linear", "none", "--trust"),
    ],
)
def test_a_missing_network_or_weights_file_is_refused(name: str, weights: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make(name, IMAGE, 10, weights=weights)


def test_trusted_code_gets_only_the_arguments_that_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mynets.py").write_text(
        "from torch import nn\n"
        "def plain(num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(192, 7), nn.ReLU(), nn.Linear(7, num_classes))\n"
        "def nothing():\n    return None\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    importlib.invalidate_caches()
    split = check_cuts(make("mynets:plain", IMAGE, 4, trust=True), IMAGE)
    assert [cut.name for cut in split.card.cuts] == ["0", "1", "2"]
    with pytest.raises(NetworkError, match="a NoneType"):
        make("mynets:nothing", IMAGE, 4, trust=True)
    with pytest.raises(UsageError, match="no network 'mynets:gone'"):
        make("mynets:gone", IMAGE, 4, trust=True)
