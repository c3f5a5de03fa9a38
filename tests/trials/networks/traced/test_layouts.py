"""Tests of files in the layouts that torchvision and timm publish, made here and read as the libraries read them."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from sweeper.errors import NetworkError
from sweeper.trials.networks.heads import without_head
from sweeper.trials.networks.traced.construct import make
from sweeper.trials.networks.traced.staged_network import build_traced_network
from sweeper.trials.networks.weight_files import read_state_dict

IMAGE = (3, 32, 32)


def publish(network: nn.Module, path: Path, old: str = "", names: str = "") -> dict[str, Any]:
    """Write a network's weights under other names, and return them under its own."""
    state = network.state_dict()
    torch.save({re.sub(old, names, name) if old else name: tensor for name, tensor in state.items()}, path)
    return state


def test_old_names_of_densenet_are_read(tmp_path: Path) -> None:
    now = r"(denselayer\d+\.(?:norm|conv))([12])\."
    state = publish(models.densenet121(num_classes=1000), tmp_path / "dense.pth", now, r"\1.\2.")
    assert any(".norm.1." in name for name in torch.load(tmp_path / "dense.pth"))
    network = make("torchvision:densenet121", IMAGE, 10, str(tmp_path / "dense.pth"), new_head=True)
    kept = without_head(network, network.state_dict())
    assert len(kept) == len(state) - 2
    assert all(torch.equal(tensor, state[name]) for name, tensor in kept.items())


@pytest.mark.parametrize(("name", "side"), [("googlenet", 64), ("inception_v3", 96)])
def test_auxiliary_heads_are_left_out(tmp_path: Path, name: str, side: int) -> None:
    image = (3, side, side)
    state = publish(models.get_model(name, weights=None, init_weights=False), tmp_path / "aux.pth")
    assert [key for key in state if key.startswith(("aux", "Aux"))]
    network = make(f"torchvision:{name}", image, 1000, str(tmp_path / "aux.pth"))
    assert all(torch.equal(tensor, state[key]) for key, tensor in network.state_dict().items())
    published = read_state_dict((tmp_path / "aux.pth").read_bytes())
    staged = build_traced_network(f"torchvision:{name}", image, 7, 0, published, new_head=True)
    assert staged.eval()(torch.rand(2, *image)).shape == (2, 7)


def test_random_weights_are_those_of_the_library() -> None:
    """Removing the auxiliary heads does not change the weights that a seed draws."""
    torch.manual_seed(5)
    state = models.googlenet(num_classes=10, init_weights=True).state_dict()
    network = make("torchvision:googlenet", (3, 64, 64), 10, seed=5)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_files_of_timm_are_read_as_timm_reads_them(tmp_path: Path) -> None:
    """The positions of a vision transformer are resized to the images, by timm's own code."""
    timm: Any = pytest.importorskip("timm")
    published = timm.create_model("vit_tiny_patch16_224", num_classes=1000)
    state = publish(published, tmp_path / "vit.pth")
    network: Any = make("timm:vit_tiny_patch16_224", (3, 64, 64), 10, str(tmp_path / "vit.pth"), new_head=True)
    assert network.pos_embed.shape[1] == 17
    assert torch.equal(network.blocks[3].attn.qkv.weight, state["blocks.3.attn.qkv.weight"])
    with pytest.raises(NetworkError, match=r"head\.weight is 1000x192, the network's 10x192"):
        make("timm:vit_tiny_patch16_224", (3, 224, 224), 10, str(tmp_path / "vit.pth"))


def test_both_heads_of_a_distilled_network_are_new(tmp_path: Path) -> None:
    timm: Any = pytest.importorskip("timm")
    publish(timm.create_model("levit_128s", num_classes=1000), tmp_path / "levit.pth")
    state = read_state_dict((tmp_path / "levit.pth").read_bytes())
    staged = build_traced_network("timm:levit_128s", (3, 224, 224), 10, 0, state, new_head=True)
    assert len(staged.head_layers) == 2


def test_a_file_of_another_network_of_timm_is_refused(tmp_path: Path) -> None:
    timm: Any = pytest.importorskip("timm")
    publish(timm.create_model("resnet18", num_classes=10), tmp_path / "resnet.pth")
    with pytest.raises(NetworkError, match="the weights don't fit"):
        make("timm:vit_tiny_patch16_224", (3, 224, 224), 10, str(tmp_path / "resnet.pth"))
