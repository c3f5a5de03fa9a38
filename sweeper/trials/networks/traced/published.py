"""Weights that the libraries publish: their classes, the images that they were trained on, and their download."""

import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch

from sweeper.errors import NetworkError, UsageError
from sweeper.spec.content.downloads import can_reach_weights
from sweeper.spec.content.weights import PRETRAINED
from sweeper.trials.networks.traced.libraries import check_network_name, import_timm

ANSWER_SECONDS = 10.0  # the longest wait for an answer of a server

# Networks of torchvision whose published weights expect other pixels than their description says: the network itself
# converts images if it is made with `transform_input`, as torchvision does for published weights.
CONVERTING = {"googlenet": 0.5, "inception_v3": 0.5}


@dataclass(frozen=True)
class PublishedWeights:
    """A set of weights that a library publishes."""

    name: str  # as in a message
    classes: int | None  # None: a backbone without a head
    images: Mapping[str, Any]  # the images that it was trained on, in timm's form
    url: str
    download: Callable[[], Path]  # returns the path of the file in the library's cache, downloaded if necessary

    def check_classes(self, classes: int) -> None:
        """Check that the head has a number of classes, before anything is downloaded.

        Raises:
            NetworkError: It has another.
        """
        if self.classes is None:
            raise NetworkError(f"the {self.name} have no head; `head: probe` trains one, `--new-head` draws one here")
        if self.classes != classes:
            raise NetworkError(
                f"the {self.name} have {self.classes} classes, the data set has {classes}; "
                "`head: probe` trains a new last layer alone, `reset: head` all layers"
            )

    def fetch(self) -> Path:
        """Return the path of the file; download it first if this machine doesn't have it.

        Raises:
            NetworkError: It can't be downloaded.
        """
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(ANSWER_SECONDS)
        try:
            return self.download()
        except (OSError, RuntimeError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            text = (str(reason).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            remedy = f"without internet access, download {self.url} elsewhere and name the file in `weights`"
            raise NetworkError(f"the {self.name} can't be downloaded: {text}; {remedy}") from error
        finally:
            socket.setdefaulttimeout(before)


def find_published(arch: str, weights: str) -> PublishedWeights:
    """Return a set of weights by its name, or the library's default set for `pretrained`.

    Raises:
        UsageError: The network has no such set.
    """
    maker, _, name = arch.partition(":")
    if maker == "torchvision":
        return _of_torchvision(arch, name, weights)
    if maker == "timm" and weights == PRETRAINED:
        return _of_timm(arch, name)
    raise UsageError(f"{arch}: no file {weights!r}; its weights come from a file")


def _of_torchvision(arch: str, name: str, weights: str) -> PublishedWeights:
    from torchvision import models

    check_network_name("torchvision", name, models.list_models(module=models))
    sets = models.get_model_weights(name).__members__
    key = "DEFAULT" if weights == PRETRAINED else weights
    if key not in sets:
        raise UsageError(f"{arch} has no weights {weights!r}; it has {', '.join(sets)}, or give a file")
    weight_set: Any = sets[key]
    categories, transforms = weight_set.meta.get("categories"), weight_set.transforms()
    sides = tuple(transforms.crop_size) * 2
    constants = {"mean": list(transforms.mean), "std": list(transforms.std)}
    if name in CONVERTING:
        constants = {key: [CONVERTING[name]] * 3 for key in constants}

    def download() -> Path:
        weight_set.get_state_dict(progress=False, check_hash=True, weights_only=True)
        return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weight_set.url).path).name

    return PublishedWeights(
        f"weights {weights} of {arch}",
        len(categories) if categories else None,
        {"input_size": [3, *sides[:2]], **constants, "interpolation": transforms.interpolation.value},
        weight_set.url,
        download,
    )


def _of_timm(arch: str, name: str) -> PublishedWeights:
    timm = import_timm()
    from timm.models import _hub  # type: ignore[import-not-found]

    check_network_name("timm", name.partition(".")[0], timm.list_models())
    config: Any = timm.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        variants = timm.list_pretrained(f"{name.partition('.')[0]}*")
        right = f"; there are {', '.join(f'timm:{variant}' for variant in variants[:5])}" if variants else ""
        raise UsageError(f"{arch} has no published weights{right}")
    file = config.hf_hub_filename or "model.safetensors"
    url = f"https://huggingface.co/{config.hf_hub_id}/resolve/main/{file}" if config.hf_hub_id else config.url

    def download() -> Path:
        if config.hf_hub_id:
            return _from_hub(config.hf_hub_id, config.hf_hub_filename)
        return Path(_hub.download_cached_file(config.url, check_hash=True, progress=False))

    return PublishedWeights(
        f"weights {PRETRAINED} of {arch} ({config.tag})" if config.tag else f"weights {PRETRAINED} of {arch}",
        config.num_classes or None,
        {
            "input_size": list(config.input_size),
            "mean": list(config.mean),
            "std": list(config.std),
            "interpolation": config.interpolation,
        },
        url,
        download,
    )


def _from_hub(repository: str, file: str | None) -> Path:
    """Return the path of a file of Hugging Face's hub in its cache: safetensors where offered."""
    from huggingface_hub import hf_hub_download  # type: ignore[import-not-found]
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError  # type: ignore[import-not-found]

    names = [file] if file else ["model.safetensors", "pytorch_model.bin"]
    for name in names:
        with suppress(LocalEntryNotFoundError):
            return Path(hf_hub_download(repository, name, local_files_only=True))
    if not can_reach_weights("timm"):  # the hub's own attempts would take a minute
        raise ConnectionError("no answer from the hub of Hugging Face")
    for name in names[:-1]:
        with suppress(EntryNotFoundError):
            return Path(hf_hub_download(repository, name))
    return Path(hf_hub_download(repository, names[-1]))
