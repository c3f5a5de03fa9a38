"""Cards of the named data sets, with digests and sizes pinned so that planning never opens (or downloads) one.

The digest of `digits` is SHA-256 over four arrays' bytes in C order, one after another: train images, train labels,
test images, test labels, as its builder returns them: images uint8 (n, 1, 8, 8), labels little-endian int64 (n,).
The builder makes them from `sklearn.datasets.load_digits()`:

    pixels = np.rint(digits.images * 255 / 16)                     # 0..16 becomes 0..255
    train, test = train_test_split(np.arange(1797), test_size=450, stratify=digits.target, random_state=0)

and keeps that order. The digest of `cluttered_digits`, which `sweeper.trials.data.cluttered_digits` makes from the same
digits, is computed in the same way. The others are pinned by the MD5 digests of the archives that torchvision fetches
and verifies, joined by "+": "md5:" and the archives in the order of torchvision's own list (train before test).

The last `holdout` images of each training split (in the builder's order) decide when a stitcher has converged. Those of
embedded sets never train anything. In the other sets, a model whose samples exceed the split without its holdout gets
images of the holdout too, and stitches that use this model report `stop_data: seen`.
"""

from collections.abc import Mapping

from sweeper.spec.cards.card import DataCard
from sweeper.spec.records.task import Data

DIGITS = DataCard(
    name="digits",
    meaning="8x8 grey scans of handwritten digits, embedded in scikit-learn",
    builder="sweeper.trials.data.digits:load_digits",
    digest="34f861d5f6116dce21417546b78d8795eec7e7a04bb9bc98f9f72816d02ec6f3",
    train=1347,
    test=450,
    classes=10,
    shape=(1, 8, 8),
    holdout=147,
    augment="none",
    source="E. Alpaydin, C. Kaynak 1998, UCI Machine Learning Repository; the test part, as in scikit-learn",
)
CLUTTERED_DIGITS = DataCard(
    name="cluttered_digits",
    meaning="12x12 images of one digit of `digits` at a random place, with two fragments of other digits",
    builder="sweeper.trials.data.cluttered_digits:load_cluttered_digits",
    digest="066dc83d217c706c28c2856630695141ee750803ad902d4f96886748f4cc9079",
    train=5391,
    test=799,
    classes=10,
    shape=(1, 12, 12),
    holdout=597,
    augment="none",
    source="the task of Mnih et al. 2014, Recurrent models of visual attention, with the digits of scikit-learn",
)
CIFAR10 = DataCard(
    name="cifar10",
    meaning="32x32 colour photographs of ten kinds of animals and vehicles",
    builder="sweeper.trials.data.named:cifar10",
    digest="md5:c58f30108f718f92721af3b95e74349a",
    train=50_000,
    test=10_000,
    classes=10,
    shape=(3, 32, 32),
    holdout=5_000,
    augment="crop_flip",
    source="Krizhevsky 2009, Learning multiple layers of features from tiny images",
)
CIFAR100 = DataCard(
    name="cifar100",
    meaning="32x32 colour photographs of a hundred kinds of things",
    builder="sweeper.trials.data.named:cifar100",
    digest="md5:eb9058c3a382ffc7106e4002c42a8d85",
    train=50_000,
    test=10_000,
    classes=100,
    shape=(3, 32, 32),
    holdout=5_000,
    augment="crop_flip",
    source="Krizhevsky 2009, Learning multiple layers of features from tiny images",
)
MNIST = DataCard(
    name="mnist",
    meaning="28x28 grey scans of handwritten digits",
    builder="sweeper.trials.data.named:mnist",
    digest="md5:f68b3c2dcbeaaa9fbdd348bbdeb94873+d53e105ee54ea40749a09fcbcd1e9432"
    "+9fb629c4189551a2d022fa330f9573f3+ec29112dd5afa0611ce80d1b7f02629c",
    train=60_000,
    test=10_000,
    classes=10,
    shape=(1, 28, 28),
    holdout=6_000,
    augment="none",
    source="LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition",
)
FASHION_MNIST = DataCard(
    name="fashion_mnist",
    meaning="28x28 grey photographs of ten kinds of clothes",
    builder="sweeper.trials.data.named:fashion_mnist",
    digest="md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d+25c81989df183df01b3e8a0aad5dffbe"
    "+bef4ecab320f06d8554ea6380940ec79+bb300cfdad3c16e7a12a480ee83cd310",
    train=60_000,
    test=10_000,
    classes=10,
    shape=(1, 28, 28),
    holdout=6_000,
    augment="none",
    source="Xiao, Rasul, Vollgraf 2017, Fashion-MNIST",
)
SVHN = DataCard(
    name="svhn",
    meaning="32x32 colour photographs of house numbers; the middle digit is the label",
    builder="sweeper.trials.data.named:svhn",
    digest="md5:e26dedcc434d2e4c54c9b2d4a06d8373+eb5a983be6a315427106f1b164d9cef3",
    train=73_257,
    test=26_032,
    classes=10,
    shape=(3, 32, 32),
    holdout=7_325,
    augment="none",  # a mirrored digit is not a digit
    source="Netzer et al. 2011, Reading digits in natural images with unsupervised feature learning",
)

DATASETS: Mapping[str, DataCard] = {
    card.name: card for card in (DIGITS, CLUTTERED_DIGITS, CIFAR10, CIFAR100, MNIST, FASHION_MNIST, SVHN)
}

# Sets made from scikit-learn's digits. They need no download, their digest is that of their images, and their holdout
# is used only to decide when to stop.
EMBEDDED = frozenset({"digits", "cluttered_digits"})


def most_samples(data: Data) -> int:
    """Return the largest number of training images that a model on this data set may use."""
    return data.train - data.holdout if data.name in EMBEDDED else data.train


def all_samples(data: Data) -> int:
    """Return the number of images that `samples: all` means: the training images outside the holdout."""
    return data.train - data.holdout


def shard_size(images: int, shard: int, shards: int) -> int:
    """Return the number of images in one shard; images are dealt in turn, so sizes differ by one at most.

    Args:
        images: The number of all images.
        shard: The number of the shard, from 0.
        shards: The number of shards.
    """
    return len(range(shard, images, shards))


def default_augment(data: Data) -> str:
    """Return the augmentation for training a model if the job names none.

    It is that of the card of a named set. Other sets get crops and mirror images if they are in colour: these suit
    photographs and spoil digits and letters.
    """
    card = DATASETS.get(data.name)
    if card:
        return card.augment
    return "crop_flip" if data.shape[0] == 3 else "none"
