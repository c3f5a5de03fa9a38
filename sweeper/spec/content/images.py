"""The check of every image of a data set, before anything else starts.

Pillow decodes each image once. The result, one `ImageFacts` for a data set, is cached by the digest of the data set's
content, so a machine checks a data set once.
"""

import json
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.errors import DataError
from sweeper.files import cache_folder, write_atomically

if TYPE_CHECKING:
    from PIL.Image import Image

# Increase this number when the check changes, so that results that an older version cached are not used.
VERSION = 1

BATCH = 256  # images that are decoded before the next ones are read
MOST_PROBLEMS = 200  # problems of a data set that a message lists one by one

GREY_MODES = frozenset({"1", "L", "LA", "La"})
DEEP_MODES = ("I", "F")  # the first letters of Pillow's modes with more than 8 bits a channel
ORIENTATION = 0x0112  # the EXIF tag of an image's rotation; 1 is none

SMALL = 20_000  # bytes of an encoded image, below which handing it to a thread costs more than it saves

Progress = Callable[[int, int], None]  # called with the images done and the number of images
NamedImage = tuple[str, bytes | Path | None]  # where the image is, for messages; its encoded bytes, or its file


@dataclass(slots=True)
class ImageFacts:
    """What the images of a data set have in common, and what is wrong with some."""

    images: int = 0
    grey: int = 0  # images without colour
    sizes: dict[str, int] = field(default_factory=dict)  # "width x height": images
    rotated: int = 0  # images whose EXIF data ask for a rotation
    transparent: int = 0  # images with at least one pixel that isn't opaque
    lowest: int = 255  # of all pixels of all channels
    highest: int = 0
    first_of_size: dict[str, list[str]] = field(default_factory=dict)  # images of each size, at most MOST_PROBLEMS
    problems: list[str] = field(default_factory=list)  # one line for each image that can't be used

    @property
    def channels(self) -> int:
        """Return 1 if every image is grey, else 3."""
        return 1 if self.grey == self.images else 3


@dataclass(frozen=True, slots=True)
class _OneImage:
    name: str
    problem: str = ""
    grey: bool = False
    size: str = ""
    rotated: bool = False
    transparent: bool = False
    lowest: int = 255
    highest: int = 0


def check_images(
    digest: str, images: Callable[[], Iterable[NamedImage]], count: int, progress: Progress | None = None
) -> ImageFacts:
    """Decode all images of a data set and return their facts, from the cache if this content was checked before.

    Args:
        digest: The digest of the data set's content.
        images: Called if the content was not checked before; returns the images.
        count: The number of images.
        progress: Called with the number of images decoded so far and `count`.

    Raises:
        DataError: Images can't be decoded, have more than 8 bits a channel, or differ in size. Each is named.
    """
    cache_file = cache_folder() / "checked" / f"{digest}-{VERSION}.json"
    facts = _read_cached(cache_file)
    if facts is None:
        facts = _collect(map_in_threads(_check_image, images()), count, progress)
        _write_cached(cache_file, facts)
    if problems := [*facts.problems, *_odd_sizes(facts)]:
        listed = problems[:MOST_PROBLEMS]
        more = [f"and {len(problems) - MOST_PROBLEMS} more images"] if len(problems) > MOST_PROBLEMS else []
        raise DataError("\n".join([*listed, *more]))
    return facts


def map_in_threads(work: Callable[[NamedImage], Any], images: Iterable[NamedImage]) -> Iterator[Any]:
    """Yield `work` of each image, in order; large images are decoded by threads, since Pillow releases Python's lock.

    Only a few batches of encoded images are in memory at a time.
    """
    remaining = iter(images)
    with ThreadPoolExecutor() as pool:
        while batch := list(islice(remaining, BATCH)):
            large = sum(_encoded_size(content) for _, content in batch) > SMALL * len(batch)
            yield from pool.map(work, batch) if large else map(work, batch)


def shape_of(image: NamedImage) -> tuple[int, int, int] | None:
    """Return the channels, height and width of an image; None if it can't be used."""
    facts = _check_image(image)
    if facts.problem:
        return None
    width, height = map(int, facts.size.split(" x "))
    return (1 if facts.grey else 3), height, width


def _encoded_size(content: bytes | Path | None) -> int:
    if isinstance(content, Path):
        return content.stat().st_size
    return len(content or b"")


def _check_image(named: NamedImage) -> _OneImage:
    name, content = named
    if content is None:
        return _OneImage(name, "there is no image (null)")
    if _encoded_size(content) == 0:
        return _OneImage(name, "the image is empty (0 bytes)")
    if isinstance(content, Path) and content.name.startswith("._"):
        return _OneImage(name, "macOS's notes on a file, not an image; delete the files whose names start with ._")
    from PIL import Image, ImageFile

    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        with (
            warnings.catch_warnings(),
            Image.open(BytesIO(content) if isinstance(content, bytes) else content) as image,
        ):
            image.load()
            return _describe(name, image)
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error and others
        return _OneImage(name, f"the image can't be decoded: {_without_object(error)}")


def _describe(name: str, image: "Image") -> _OneImage:
    if image.mode.startswith(DEEP_MODES):
        return _OneImage(name, f"the image has more than 8 bits a channel (mode {image.mode}); convert it to 8 bits")
    grey = image.mode in GREY_MODES
    pixels = image.convert("L" if grey else "RGB")
    extremes = pixels.getextrema()
    pairs: Any = [extremes] if grey else extremes
    return _OneImage(
        name,
        grey=grey,
        size=f"{image.width} x {image.height}",
        rotated=image.getexif().get(ORIENTATION, 1) not in (0, 1),
        transparent=_is_transparent(image),
        lowest=int(min(low for low, _ in pairs)),
        highest=int(max(high for _, high in pairs)),
    )


def _is_transparent(image: "Image") -> bool:
    if not image.has_transparency_data:
        return False
    lowest: Any = image.convert("RGBA").getchannel("A").getextrema()
    return lowest[0] < 255


def _without_object(error: Exception) -> str:
    """Return an exception's message, without the address of the buffer that Pillow puts into some."""
    text = str(error) or type(error).__name__
    return "it is no image of a known format" if "cannot identify image file" in text else text


def _collect(images: Iterable[_OneImage], count: int, progress: Progress | None) -> ImageFacts:
    facts = ImageFacts()
    for image in images:
        facts.images += 1
        if progress and (facts.images % BATCH == 0 or facts.images == count):
            progress(facts.images, count)
        if image.problem:
            facts.problems.append(f"{image.name}: {image.problem}")
            continue
        facts.grey += image.grey
        facts.sizes[image.size] = facts.sizes.get(image.size, 0) + 1
        facts.rotated += image.rotated
        facts.transparent += image.transparent
        facts.lowest, facts.highest = min(facts.lowest, image.lowest), max(facts.highest, image.highest)
        if len(names := facts.first_of_size.setdefault(image.size, [])) < MOST_PROBLEMS:
            names.append(image.name)
    return facts


def _odd_sizes(facts: ImageFacts) -> list[str]:
    """Return a line for each image whose size isn't the most frequent one."""
    if len(facts.sizes) < 2:
        return []
    (usual, count), *others = sorted(facts.sizes.items(), key=lambda item: -item[1])
    return [
        f"{name}: the image has {size} pixels, {count} of {facts.images} images have {usual}; resize it"
        for size, _ in others
        for name in facts.first_of_size[size]
    ]


def _read_cached(file: Path) -> ImageFacts | None:
    try:
        return ImageFacts(**json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _write_cached(file: Path, facts: ImageFacts) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(asdict(facts)))
    except OSError:
        return  # without a cache the images are checked again next time
