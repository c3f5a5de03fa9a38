"""The file of a part in a bucket, of which only those pieces are fetched that a query reads.

What was fetched is kept in a file in the cache folder, each piece at its place. No list says which pieces it has: one
that has its digest is there. So many threads and processes may fill a file at once, and any of them may be killed.
"""

import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress

from sweeper.errors import StoreError
from sweeper.store.parts.verify import VerifiedPart
from sweeper.store.query.verified_file import VerifiedFile, changed, unreachable


class BucketFile(VerifiedFile):
    """A part's file, whose pieces are fetched when they are read first, and verified whenever they are read."""

    def __init__(self, part: VerifiedPart):
        super().__init__(part, os.O_RDWR | os.O_CREAT)

    def read_pieces(self, numbers: range) -> bytes:
        """Return consecutive pieces; neighbouring ones that are missing are fetched by one request.

        Raises:
            OSError: A piece of the bucket's object doesn't have its digest, or the bucket can't be reached.
        """
        content = self.read_unchecked(numbers)
        missing = self.pieces.wrong(content, numbers)
        if not missing:
            return content
        start, end = self.pieces.bounds(numbers)
        whole = bytearray(content.ljust(end - start, b"\0"))
        for run in _runs(missing):
            first, last = self.pieces.bounds(run)
            whole[first - start : last - start] = self._fetch(run)
        return bytes(whole)

    def _fetch(self, numbers: range) -> bytes:
        """Fetch consecutive pieces, and keep them if the disk has space.

        Raises:
            OSError: As in `read_pieces`.
        """
        start, end = self.pieces.bounds(numbers)
        assert self.part.bucket, "a part of a bucket"
        try:
            content = self.part.bucket.read_range(self.part.name.path, start, end)
        except FileNotFoundError:
            raise changed(self.part, "it is not in the bucket any more") from None
        except StoreError as error:
            raise unreachable(error) from None
        if self.pieces.wrong(content, numbers):
            raise changed(self.part, "its content has changed")
        with suppress(OSError):
            self.write_range(start, content)
        return content


def _runs(numbers: Iterable[int]) -> Iterator[range]:
    """Yield the ranges of consecutive numbers, from numbers in order."""
    for _, group in itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        yield range(run[0], run[-1] + 1)
