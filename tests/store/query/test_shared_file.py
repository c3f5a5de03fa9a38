"""A file that threads share: each has a position of its own."""

import io
import os
import random
import threading
from pathlib import Path

import pytest

from sweeper.store.query.shared_file import SharedFile


def test_each_thread_has_its_own_position_and_begins_at_0(tmp_path: Path):
    (tmp_path / "file").write_bytes(bytes(100))
    file, positions = SharedFile(tmp_path / "file", os.O_RDONLY), []
    assert file.seek(-10, io.SEEK_END) == 90
    thread = threading.Thread(target=lambda: positions.extend([file.tell(), file.seek(5), file.seek(5, io.SEEK_CUR)]))
    thread.start()
    thread.join()
    assert positions == [0, 5, 10]
    assert file.tell() == 90


def test_a_range_is_read_without_moving(tmp_path: Path):
    content = random.Random(0).randbytes(1000)
    (tmp_path / "file").write_bytes(content)
    file = SharedFile(tmp_path / "file", os.O_RDONLY)
    assert file.read_range(10, 20) == content[10:20]
    assert file.read_range(990, 2000) == content[990:]
    assert file.read_range(5, 5) == file.read_range(3000, 4000) == b""
    assert (file.tell(), file.size()) == (0, 1000)


def test_a_closed_file_can_be_closed_again_and_a_missing_one_is_an_error(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    file = SharedFile(tmp_path / "file", os.O_RDONLY)
    file.close()
    file.close()
    assert file.closed
    with pytest.raises(FileNotFoundError):
        SharedFile(tmp_path / "missing", os.O_RDONLY)
