"""The facts of a data set's images: the result of the check of all images, cached by their content."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sweeper.files import cache_folder, read_cached_text, write_cache
from sweeper.spec.content.wording import count_of

# Increase this number when the check changes, so that results that an older version cached are not used.
VERSION = 3

MOST_PROBLEMS = 200  # problems of a data set that a message lists one by one


@dataclass(frozen=True, slots=True)
class OneImage:
    """The result of the check of one image."""

    name: str
    problem: str = ""  # the reason why it can't be used
    grey: bool = False
    size: str = ""  # "width x height", after a rotation that is applied
    rotated: bool = False  # its EXIF data ask for a rotation
    transparent: bool = False  # at least one pixel isn't opaque
    deep: bool = False  # 16 bits a channel, of which Pillow reads the upper 8
    animated: bool = False  # it has several frames or pages
    lowest: int = 255  # of all pixels of all channels
    highest: int = 0
    content: str = ""  # a digest of the encoded bytes


@dataclass(slots=True)
class ImageFacts:
    """The properties that the images of a data set have in common, and the problems of some."""

    images: int = 0
    grey: int = 0  # images without colour
    sizes: dict[str, int] = field(default_factory=dict)  # "width x height": images
    rotated: int = 0
    transparent: int = 0
    deep: int = 0
    animated: int = 0
    repeated: int = 0  # test images with the same bytes as a training image
    lowest: int = 255
    highest: int = 0
    first_of_size: dict[str, list[str]] = field(default_factory=dict)  # images of each size, at most MOST_PROBLEMS
    problems: list[str] = field(default_factory=list)  # one line for each image that can't be decoded

    @property
    def channels(self) -> int:
        """Return 1 if every image is grey, else 3."""
        return 1 if self.grey == self.images else 3

    def add(self, image: OneImage) -> None:
        """Count an image."""
        self.images += 1
        if image.problem:
            self.problems.append(f"{image.name}: {image.problem}")
            return
        for name in ("grey", "rotated", "transparent", "deep", "animated"):
            setattr(self, name, getattr(self, name) + getattr(image, name))
        self.lowest, self.highest = min(self.lowest, image.lowest), max(self.highest, image.highest)
        self.sizes[image.size] = self.sizes.get(image.size, 0) + 1
        if len(names := self.first_of_size.setdefault(image.size, [])) < MOST_PROBLEMS:
            names.append(image.name)

    def all_problems(self) -> list[str]:
        """Return a line for each image that can't be used; of very many the first and their number."""
        lines, count = [*self.problems], len(self.problems)
        if self.sizes:
            (usual, usual_count), *others = sorted(self.sizes.items(), key=lambda item: -item[1])
            lines += [
                f"{name}: the image has {size} pixels, {usual_count} of {self.images} images have {usual}; resize it"
                for size, _ in others
                for name in self.first_of_size[size]
            ]
            count += sum(number for _, number in others)
        listed = lines[:MOST_PROBLEMS]
        return [*listed, f"and {count_of(count - len(listed), 'more image')}"] if count > len(listed) else listed

    def notes(self, upright: bool) -> tuple[str, ...]:
        """Return a sentence for each property of images that a reader may not expect.

        Args:
            upright: True if rotations in EXIF data are applied.
        """
        rule = "applied, as Hugging Face datasets does" if upright else "ignored, as torchvision does"
        notes = (
            (
                self.grey if self.grey < self.images else 0,
                f"without colour among {self.images}, read as colour like the others",
            ),
            (self.rotated, f"with a rotation in EXIF data, which is {rule}"),
            (self.transparent, "with transparent pixels, whose hidden colours are used, as torchvision does"),
            (self.deep, "with 16 bits a channel, of which the upper 8 are used, as Pillow does"),
            (self.animated, "with several frames, of which the first is used"),
            (self.repeated, "of the test split with the same bytes as a training image"),
        )
        return tuple(f"{count_of(count, 'image')} {text}" for count, text in notes if count)


def read_cached_facts(digest: str) -> ImageFacts | None:
    """Return the facts of images that were checked before; None if they were not, or if the cache is damaged."""
    try:
        return ImageFacts(**json.loads(read_cached_text(_cache_file(digest))))
    except (OSError, ValueError, TypeError):
        return None


def write_cached_facts(digest: str, facts: ImageFacts) -> None:
    """Remember the facts of images. Images that can't be decoded are tried again: the reason may be the machine."""
    if not facts.problems:
        write_cache(_cache_file(digest), json.dumps(asdict(facts)))


def collect_facts(images: Iterable[OneImage], train: int) -> ImageFacts:
    """Return the facts of all images, of which the first `train` are training images and the others test images."""
    facts, training = ImageFacts(), set()
    for number, image in enumerate(images):
        facts.add(image)
        if number < train:
            training.add(image.content)
        elif not image.problem:
            facts.repeated += image.content in training
    return facts


def _cache_file(digest: str) -> Path:
    return cache_folder() / "checked" / f"{digest}-{VERSION}.json"
