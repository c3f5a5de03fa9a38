"""The check of every image of a data set, before anything else starts.

Pillow decodes each image once. The facts of a data set's images are cached by the digest of its content, so a machine
checks a data set once.
"""

import stat
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.errors import DataError
from sweeper.spec.content.fingerprint import Progress
from sweeper.spec.content.image_facts import (
    ImageFacts,
    OneImage,
    collect_facts,
    read_cached_facts,
    write_cached_facts,
)
from sweeper.spec.content.lfs_pointers import POINTER, is_pointer

if TYPE_CHECKING:
    from PIL.Image import Image

BATCH = 256  # images that are decoded before the next ones are read

GREY_MODES = frozenset({"1", "L", "LA", "La"})
DEEP_MODES = ("I", "F")  # the first letters of Pillow's modes with more than 8 bits a channel
ORIENTATION = 0x0112  # the EXIF tag of an image's rotation; 2 .. 8 turn or mirror it
SIDEWAYS = range(5, 9)  # the orientations that exchange width and height

SMALL = 20_000  # bytes of an encoded image, below which handing it to a thread costs more than it saves

CHECKING = "checking images"  # the step of which `check_images` reports the progress

NO_BYTES = "there is no image (its bytes are null; a path beside them is not followed)"

NamedImage = tuple[str, bytes | Path | None]  # where the image is, for messages; its encoded bytes, or its file


def check_images(
    digest: str,
    images: Callable[[], Iterable[NamedImage]],
    counts: tuple[int, int],
    upright: bool,
    progress: Progress | None = None,
) -> ImageFacts:
    """Decode all images of a data set and return their facts, from the cache if this content was checked before.

    Args:
        digest: The digest of the data set's content.
        images: Called if the content was not checked before; returns the training images and then the test images.
            Their names are relative to the data set's folder, because a cached fact serves every copy of the data set.
        counts: The numbers of training and of test images.
        upright: True if rotations in EXIF data are applied.
        progress: Called with `CHECKING` and the numbers of images decoded so far and of all images.

    Raises:
        DataError: Images can't be decoded, have more than 8 bits a channel, or differ in size. Each is named.
    """
    facts = read_cached_facts(digest)
    if facts is None:
        checked = map_in_threads(partial(_check_image, upright=upright), images())
        with warnings.catch_warnings():  # Pillow warns of large images and of odd metadata
            warnings.simplefilter("ignore")
            facts = collect_facts(_with_progress(checked, sum(counts), progress), counts[0])
        write_cached_facts(digest, facts)
    if problems := facts.all_problems():
        raise DataError("\n".join(problems))
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


def shape_of(image: NamedImage, upright: bool) -> tuple[int, int, int] | None:
    """Return the channels, height and width of an image; None if it can't be used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        facts = _check_image(image, upright)
    if facts.problem:
        return None
    width, height = map(int, facts.size.split(" x "))
    return (1 if facts.grey else 3), height, width


def _with_progress(images: Iterable[OneImage], count: int, progress: Progress | None) -> Iterator[OneImage]:
    for done, image in enumerate(images, start=1):
        if progress and (done % BATCH == 0 or done == count):
            progress(CHECKING, done, count)
        yield image


def _encoded_size(content: bytes | Path | None) -> int:
    """Return the number of bytes of an encoded image; 0 for what isn't a regular file or can't be read."""
    if not isinstance(content, Path):
        return len(content or b"")
    try:
        state = content.stat()
    except OSError:
        return 0
    return state.st_size if stat.S_ISREG(state.st_mode) else 0


def _check_image(named: NamedImage, upright: bool) -> OneImage:
    name, content = named
    if content is None:
        return OneImage(name, NO_BYTES)
    if isinstance(content, Path) and content.name.startswith("._"):
        return OneImage(name, "macOS's notes on a file, not an image; delete the files whose names start with ._")
    if _encoded_size(content) == 0:
        return OneImage(name, "the image is empty (0 bytes)")
    from PIL import Image, ImageFile

    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        encoded = content if isinstance(content, bytes) else content.read_bytes()
        with Image.open(BytesIO(encoded)) as image:
            deep = ";16" in repr([tile.args for tile in image.tile])
            animated = bool(getattr(image, "is_animated", False))
            image.load()
            facts = _describe(name, image, upright, deep, animated)
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error and others
        if is_pointer(content):
            return OneImage(name, f"the image {POINTER}")
        return OneImage(name, f"the image can't be decoded: {_without_object(error)}")
    return replace(facts, content=blake2b(encoded, digest_size=16).hexdigest())


def _describe(name: str, image: "Image", upright: bool, deep: bool, animated: bool) -> OneImage:
    if image.mode.startswith(DEEP_MODES):
        return OneImage(name, f"the image has more than 8 bits a channel (mode {image.mode}); convert it to 8 bits")
    grey = image.mode in GREY_MODES
    extremes = image.convert("L" if grey else "RGB").getextrema()
    pairs: Any = [extremes] if grey else extremes
    orientation = _orientation(image, upright)
    width, height = image.size
    return OneImage(
        name,
        grey=grey,
        size=f"{height} x {width}" if upright and orientation in SIDEWAYS else f"{width} x {height}",
        rotated=orientation in range(2, 9),
        transparent=_is_transparent(image),
        deep=deep,
        animated=animated,
        lowest=int(min(low for low, _ in pairs)),
        highest=int(max(high for _, high in pairs)),
    )


def _orientation(image: "Image", upright: bool) -> int:
    """Return the orientation in an image's EXIF data, 1 if there are none; damaged data matter if it is applied."""
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow's reader raises SyntaxError, struct.error and others
        if upright:
            raise
        return 1


def _is_transparent(image: "Image") -> bool:
    if not image.has_transparency_data:
        return False
    lowest: Any = image.convert("RGBA").getchannel("A").getextrema()
    return lowest[0] < 255


def _without_object(error: Exception) -> str:
    """Return the first line of an exception's message, without the address of the buffer that Pillow puts into some."""
    text = next(iter(str(error).splitlines()), "") or type(error).__name__
    return "it is no image of a known format" if "cannot identify image file" in text else text
