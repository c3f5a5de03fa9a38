"""Pointers of Git LFS: small text files in the place of large ones that `git clone` did not fetch."""

from pathlib import Path

POINTER = "is a pointer of Git LFS, not the file itself; `git lfs pull` fetches the file"
_START = b"version https://git-lfs.github.com/spec/"


def is_pointer(content: Path | bytes) -> bool:
    """Return True if a file, or the content of one, is a pointer."""
    if isinstance(content, bytes):
        return content.startswith(_START)
    try:
        with content.open("rb") as file:
            return file.read(len(_START)) == _START
    except OSError:
        return False
