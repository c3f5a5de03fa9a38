"""The memory of checked files: a file is known only in the state in which it was checked."""

import json
import os
from pathlib import Path

import pytest
from support.damage import flipped

from sweeper.files import read_cached_text, write_cache
from sweeper.store.parts.known_files import KnownFile, KnownFiles, file_state

STATE = (10, 1, 2, 3)


def filled(file: Path) -> KnownFiles:
    """Return known files of which two are saved in a cache file."""
    known_files = KnownFiles(file)
    for path, columns in (("a", ("task", "gain")), ("b", ("task",))):
        assert known_files.find(path, STATE) is None
        known_files.add(path, KnownFile(STATE, b"\0digest", columns))
    known_files.save({"a", "b"})
    return known_files


def test_a_file_is_known_in_its_state_and_in_a_later_process(tmp_path: Path):
    known_files = filled(tmp_path / "known.json")
    for files in (known_files, KnownFiles(tmp_path / "known.json")):
        assert files.find("a", STATE) == KnownFile(STATE, b"\0digest", ("task", "gain"))
        assert files.find("b", STATE) == KnownFile(STATE, b"\0digest", ("task",))
        for position in range(4):
            assert files.find("a", tuple(n + (i == position) for i, n in enumerate(STATE))) is None


def test_files_that_are_gone_are_forgotten(tmp_path: Path):
    filled(tmp_path / "known.json").save({"b"})
    files = KnownFiles(tmp_path / "known.json")
    assert files.find("a", STATE) is None
    assert files.find("b", STATE) is not None


def test_nothing_is_written_if_nothing_has_changed(tmp_path: Path):
    known_files = filled(tmp_path / "known.json")
    (tmp_path / "known.json").unlink()
    known_files.save({"a", "b"})
    assert not (tmp_path / "known.json").exists()


def test_a_damaged_cache_file_is_ignored(tmp_path: Path):
    filled(tmp_path / "known.json")
    content = (tmp_path / "known.json").read_bytes()
    for bit in range(0, 8 * len(content), 13):
        (tmp_path / "known.json").write_bytes(flipped(content, bit))
        assert KnownFiles(tmp_path / "known.json").find("a", STATE) is None


@pytest.mark.parametrize("other", [{}, {"format": 1}, {"format": 3}])
def test_a_cache_file_in_the_format_of_another_version_is_ignored(tmp_path: Path, other: dict[str, int]):
    file = tmp_path / "known.json"
    filled(file)
    content = json.loads(read_cached_text(file))
    del content["format"]
    write_cache(file, json.dumps(content | other))
    assert KnownFiles(file).find("a", STATE) is None


def test_the_state_of_a_file_differs_after_a_change_that_keeps_size_and_time(tmp_path: Path):
    file = tmp_path / "part"
    file.write_bytes(b"old")
    before, status = file_state(file), file.stat()
    assert file_state(file) == before
    file.write_bytes(b"new")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file_state(file) != before
    with pytest.raises(FileNotFoundError):
        file_state(tmp_path / "missing")
