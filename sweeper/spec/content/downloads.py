"""The check that a named data set is on this machine, or can be downloaded, before a run starts.

Only a request for the header of one file is sent; nothing is downloaded.
"""

import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from sweeper.errors import DataError
from sweeper.files import cache_folder

ANSWER_SECONDS = 4.0


class Download(NamedTuple):
    """The place of a data set's files below the cache folder, and the address of one file, as torchvision has them."""

    files: tuple[str, ...]
    url: str


DOWNLOADS = {
    "cifar10": Download(
        ("cifar-10-batches-py", "cifar-10-python.tar.gz"), "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    ),
    "cifar100": Download(
        ("cifar-100-python", "cifar-100-python.tar.gz"), "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    ),
    "mnist": Download(
        ("MNIST/raw",), "https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz"
    ),
    "fashion_mnist": Download(
        ("FashionMNIST/raw",),
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/train-images-idx3-ubyte.gz",
    ),
    "svhn": Download(("train_32x32.mat",), "http://ufldl.stanford.edu/housenumbers/train_32x32.mat"),
}  # fmt: skip


def check_download(name: str, digest: str) -> None:
    """Check that a named data set is in the cache folder or that the server of its files answers.

    Args:
        name: The data set's name.
        digest: Its digest, by which the decoded images lie in the cache folder.

    Raises:
        DataError: It is not on this machine and can't be downloaded.
    """
    download = DOWNLOADS.get(name)
    if download is None or _is_cached(download, digest):
        return
    try:
        request = urllib.request.Request(download.url, method="HEAD")
        urllib.request.urlopen(request, timeout=ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise DataError(
            f"{name} is not on this machine and can't be downloaded from {download.url} ({reason}); download it "
            f"elsewhere and put {download.files[0]} into {cache_folder() / 'downloads'}"
        ) from None


# A server of each library's published weights. Any answer of it, also a refusal, shows that it can be reached.
WEIGHT_SERVERS = {"torchvision": "https://download.pytorch.org", "timm": "https://huggingface.co"}
MIRROR = "HF_ENDPOINT"  # the variable that names another server of Hugging Face's hub


def can_reach_weights(arch: str) -> bool:
    """Return True if the server of the published weights of an external network answers."""
    library = arch.partition(":")[0]
    mirror = os.environ.get(MIRROR) if library == "timm" else None
    try:
        request = urllib.request.Request(mirror or WEIGHT_SERVERS[library], method="HEAD")
        urllib.request.urlopen(request, timeout=ANSWER_SECONDS).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _is_cached(download: Download, digest: str) -> bool:
    folder: Path = cache_folder()
    decoded = (folder / "decoded").glob(f"{digest.replace(':', '-')}-*")
    return any((folder / "downloads" / file).exists() for file in download.files) or any(map(Path.is_dir, decoded))
