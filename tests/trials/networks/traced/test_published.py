"""Tests of published weights: which they are, what they describe, and where their files lie. Nothing is downloaded."""

import urllib.request
from pathlib import Path
from typing import Any

import pytest
import torch

from sweeper.errors import NetworkError, UsageError
from sweeper.trials.networks.traced import published
from sweeper.trials.networks.traced.published import find_published


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Set empty caches, and let every request fail at once."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    monkeypatch.setattr(published, "can_reach_weights", lambda _: False)


@pytest.mark.parametrize(
    ("arch", "size", "mean", "interpolation"),
    [
        ("torchvision:resnet18", 224, 0.485, "bilinear"),
        ("torchvision:efficientnet_b4", 380, 0.485, "bicubic"),
        ("torchvision:inception_v3", 299, 0.5, "bilinear"),  # what its transform_input amounts to
        ("torchvision:googlenet", 224, 0.5, "bilinear"),
        ("timm:resnet18.tv_in1k", 224, 0.485, "bilinear"),
        ("timm:vit_tiny_patch16_224", 224, 0.5, "bicubic"),
    ],
)
def test_weights_describe_their_images(arch: str, size: int, mean: float, interpolation: str) -> None:
    if arch.startswith("timm"):
        pytest.importorskip("timm")
    weights = find_published(arch, "pretrained")
    assert weights.images["input_size"] == [3, size, size]
    assert weights.images["mean"][0] == mean
    assert weights.images["interpolation"] == interpolation
    assert weights.classes == 1000


def test_pretrained_is_the_default_of_torchvision() -> None:
    assert find_published("torchvision:resnet50", "pretrained").url.endswith("resnet50-11ad3fa6.pth")
    assert find_published("torchvision:resnet50", "IMAGENET1K_V1").url.endswith("resnet50-0676ba61.pth")


def test_other_classes_are_refused_before_a_download() -> None:
    with pytest.raises(NetworkError, match=r"have 1000 classes, the data set has 10; `head: probe` trains a new last"):
        find_published("torchvision:resnet18", "pretrained").check_classes(10)


def test_a_backbone_has_no_head() -> None:
    pytest.importorskip("timm")
    weights = find_published("timm:vit_small_patch14_dinov2", "pretrained")
    assert weights.classes is None
    with pytest.raises(NetworkError, match="have no head; `head: probe` trains one"):
        weights.check_classes(10)


def test_without_a_network_the_message_names_the_file_to_fetch() -> None:
    with pytest.raises(NetworkError) as caught:
        find_published("torchvision:resnet18", "pretrained").fetch()
    assert str(caught.value) == (
        "the weights pretrained of torchvision:resnet18 can't be downloaded: no network; without internet access, "
        "download https://download.pytorch.org/models/resnet18-f37072fd.pth elsewhere and name the file in `weights`"
    )


def test_a_file_in_the_librarys_cache_is_used(tmp_path: Path) -> None:
    file = tmp_path / "torch" / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    file.parent.mkdir(parents=True)
    torch.save({"w": torch.zeros(1)}, file)
    assert find_published("torchvision:squeezenet1_1", "pretrained").fetch() == file


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_file_in_the_hubs_cache_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    pytest.importorskip("timm")
    hub: Any = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    weights = find_published("timm:resnet18.tv_in1k", "pretrained")
    with pytest.raises(NetworkError, match=r"no answer from the hub.*timm/resnet18.tv_in1k/resolve/main/model.safeten"):
        weights.fetch()
    snapshot = tmp_path / "models--timm--resnet18.tv_in1k" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / file).write_bytes(b"weights")
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs" / "main").write_text("0" * 40)
    assert weights.fetch() == snapshot / file


@pytest.mark.parametrize(
    ("arch", "weights", "message"),
    [
        ("torchvision:resnet18", "IMAGENET1K_V9", "has no weights 'IMAGENET1K_V9'; it has IMAGENET1K_V1"),
        ("torchvision:resnet19", "pretrained", "no network 'torchvision:resnet19'; did you mean"),
        ("timm:resnet18", "IMAGENET1K_V1", "its weights come from a file"),
        ("timm:resnet_eighteen", "pretrained", "no network 'timm:resnet_eighteen'"),
    ],
)
def test_weights_that_do_not_exist_are_refused(arch: str, weights: str, message: str) -> None:
    if arch.startswith("timm"):
        pytest.importorskip("timm")
    with pytest.raises(UsageError, match=message):
        find_published(arch, weights)
