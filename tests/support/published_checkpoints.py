"""Files of random weights in the layouts in which ResNets for ImageNet are published, and folders of small images."""

import io
from pathlib import Path

import torch
import torchvision
from PIL import Image

NAMES = {
    "supervised": "resnet50-0676ba61.pth",
    "swav": "swav_800ep_pretrain.pth.tar",
    "dino": "dino_resnet50_pretrain.pth",
    "simclr": "simclr_resnet50-1x.pth",
}


def write_published(folder: Path, arch: str = "resnet50") -> None:
    """Write the four files of figure 2B, in half precision, which halves their size."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (objective, name) in enumerate(NAMES.items()):
        torch.save(published(objective, arch, seed), folder / name)


def published(objective: str, arch: str, seed: int) -> dict[str, object]:
    """Return the content of a published file.

    Args:
        objective: "supervised" (torchvision), "swav" (names of a data-parallel module, with a projection head and
            prototypes), "dino" (the backbone without a last layer), "dino-full" (a checkpoint with student and teacher)
            or "simclr" (under the key `state_dict`, as converters of TensorFlow's files write it).
        arch: A ResNet of torchvision.
        seed: The seed of the weights.
    """
    torch.manual_seed(seed)
    state = {
        key: x.half() if x.is_floating_point() else x
        for key, x in getattr(torchvision.models, arch)().state_dict().items()
    }
    backbone = {key: x for key, x in state.items() if not key.startswith("fc.")}
    if objective == "swav":
        heads = {"projection_head.0.weight": torch.ones(4, 4), "prototypes.weight": torch.ones(3, 4)}
        return {f"module.{key}": x for key, x in (backbone | heads).items()}
    if objective == "dino":
        return dict(backbone)
    if objective == "dino-full":
        teacher = {f"backbone.{key}": x for key, x in backbone.items()} | {"head.mlp.0.weight": torch.ones(2, 2)}
        student = {f"module.{key}": torch.zeros_like(x) for key, x in teacher.items()}
        return {"student": student, "teacher": teacher, "epoch": 100, "dino_loss": {"center": torch.ones(1, 2)}}
    return {"state_dict": state, "epoch": 1} if objective == "simclr" else dict(state)


def write_image_folder(folder: Path, classes: int, train: int, val: int, size: int = 8) -> None:
    """Write images of one colour per class, in the folders of torchvision's ImageNet: train/CLASS and val/CLASS."""
    for split, count in (("train", train), ("val", val)):
        for label in range(classes):
            place, content = folder / split / f"n{label:08}", io.BytesIO()
            colour = (label * 37 % 256, label * 91 % 256, label * 151 % 256)
            Image.new("RGB", (size, size), colour).save(content, "PNG")
            place.mkdir(parents=True)
            for i in range(label, count, classes):
                (place / f"{i}.png").write_bytes(content.getvalue())
