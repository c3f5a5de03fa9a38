"""Files that several of DuckDB's threads use at once."""

import io
import os
import threading
from pathlib import Path


class SharedContent(io.RawIOBase):
    """A content with a position for each thread.

    DuckDB's threads share one object, and call `seek` and then `read` or `write`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._position = threading.local()

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position of this thread."""
        return getattr(self._position, "value", 0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position of this thread and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self.size()}[whence]
        self._position.value = base + offset
        return self._position.value

    def size(self) -> int:
        """Return the size of the content in bytes."""
        raise NotImplementedError


class HeldContent(SharedContent):
    """The content of a file that is held in memory."""

    def __init__(self, content: bytes):
        super().__init__()
        self._content = content

    def size(self) -> int:
        """Return the size of the content in bytes."""
        return len(self._content)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next `size` bytes, fewer at the end of the content."""
        start = self.tell()
        end = len(self._content) if size is None or size < 0 else min(start + size, len(self._content))
        self.seek(max(start, end))
        return self._content[start:end]


class SharedFile(SharedContent):
    """An open file with a position for each thread."""

    def __init__(self, file: Path, flags: int):
        """Open a file.

        Args:
            file: The file.
            flags: Those of `os.open`. A file that is made can be read by its owner alone.

        Raises:
            OSError: It can't be opened.
        """
        super().__init__()
        self._descriptor = os.open(file, flags, 0o600)

    def size(self) -> int:
        """Return the size of the file in bytes."""
        return os.fstat(self._descriptor).st_size

    def read_range(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to `end`, fewer if the file ends before; the position stays."""
        pieces = []
        while start < end and (piece := os.pread(self._descriptor, end - start, start)):
            pieces.append(piece)
            start += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def write_range(self, start: int, content: bytes | memoryview) -> int:
        """Write all bytes of a content from a position on and return their number; the position of the thread stays.

        Raises:
            OSError: They can't be written; some of them may have been.
        """
        view, written = memoryview(content), 0
        while written < len(view):
            written += os.pwrite(self._descriptor, view[written:], start + written)
        return written

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()
