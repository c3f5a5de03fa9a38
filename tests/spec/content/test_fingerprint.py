import hashlib
import multiprocessing
import os
import shutil
import time
from pathlib import Path

import pytest

from sweeper.errors import DataError
from sweeper.files import cache_folder
from sweeper.spec.content import fingerprint as module
from sweeper.spec.content.fingerprint import fingerprint


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return a folder with three files that were last changed an hour ago."""
    folder = tmp_path / "set"
    for name in ("a.bin", "b.bin", "sub/c.bin"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 100)
        settle(folder / name)
    return folder


def settle(file: Path, seconds: float = 3600) -> None:
    past = time.time() - seconds
    os.utime(file, (past, past))


def files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """Return a list that gets the name of each file whose content is read."""
    names_of_read_files = []
    digest = hashlib.file_digest

    def recording_digest(file, name):
        names_of_read_files.append(Path(file.name).name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", recording_digest)
    return names_of_read_files


def test_the_digest_depends_only_on_the_names_and_content_of_the_files(folder, tmp_path):
    first = fingerprint(folder, files(folder))
    assert len(first) == 64
    shutil.copytree(folder, tmp_path / "copy")
    assert fingerprint(tmp_path / "copy", reversed(files(tmp_path / "copy"))) == first


def test_the_digest_agrees_with_its_documented_definition(folder):
    lines = [
        f"{f.relative_to(folder).as_posix()}\0{hashlib.sha256(f.read_bytes()).hexdigest()}\n" for f in files(folder)
    ]
    assert fingerprint(folder, files(folder)) == hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("change", ["content", "name", "missing"])
def test_a_change_of_content_or_name_changes_the_digest(folder, change):
    first = fingerprint(folder, files(folder))
    if change == "content":
        (folder / "a.bin").write_bytes(b"A" + (folder / "a.bin").read_bytes()[1:])
    elif change == "name":
        (folder / "a.bin").rename(folder / "z.bin")
    else:
        (folder / "a.bin").unlink()
    assert fingerprint(folder, files(folder)) != first


def test_a_file_is_read_once(folder, reads, monkeypatch):
    monkeypatch.setattr(module, "SETTLED_NS", 0)
    first = fingerprint(folder, files(folder))
    assert reads == ["a.bin", "b.bin", "c.bin"]
    assert fingerprint(folder, files(folder)) == first
    assert len(reads) == 3
    (folder / "b.bin").write_bytes(b"new")
    settle(folder / "b.bin")
    assert fingerprint(folder, files(folder)) != first
    assert reads[3:] == ["b.bin"]


def test_the_digest_of_a_file_changed_a_moment_ago_is_not_cached(folder, reads):
    (folder / "a.bin").write_bytes(b"fresh")
    fingerprint(folder, files(folder))
    fingerprint(folder, files(folder))
    assert reads == ["a.bin", "b.bin", "c.bin"] * 2


def test_a_file_that_replaces_another_of_the_same_size_and_time_is_read(folder, reads, monkeypatch):
    monkeypatch.setattr(module, "SETTLED_NS", 0)
    first = fingerprint(folder, files(folder))
    before = (folder / "a.bin").stat()
    (folder / "new").write_bytes(bytes(reversed((folder / "a.bin").read_bytes())))
    (folder / "new").replace(folder / "a.bin")
    os.utime(folder / "a.bin", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert fingerprint(folder, files(folder)) != first
    assert reads[3:] == ["a.bin"]


def test_a_file_rewritten_in_place_with_its_old_time_is_read(folder, reads, monkeypatch):
    monkeypatch.setattr(module, "SETTLED_NS", 0)
    first = fingerprint(folder, files(folder))
    before = (folder / "a.bin").stat()
    (folder / "a.bin").write_bytes(bytes(reversed((folder / "a.bin").read_bytes())))
    os.utime(folder / "a.bin", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert fingerprint(folder, files(folder)) != first
    assert reads[3:] == ["a.bin"]


@pytest.mark.parametrize("torn", [b"", b"{", b"[1]", b'{"a.bin": 3}', b'{"a.bin": [1, 2]}', b"\xff", b"null"])
def test_a_damaged_digest_cache_is_ignored(folder, torn):
    first = fingerprint(folder, files(folder))
    (memory,) = (cache_folder() / "fingerprints").iterdir()
    whole = memory.read_bytes()
    for content in (torn, hashlib.sha256(torn).hexdigest().encode() + b"\n" + torn, whole[:-9] + b"0" + whole[-8:]):
        memory.write_bytes(content)
        assert fingerprint(folder, files(folder)) == first


def test_fingerprint_works_without_a_writable_cache(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "file"))
    assert fingerprint(folder, files(folder)) == fingerprint(folder, files(folder))


def test_simultaneous_processes_get_the_same_digest(folder):
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        digests = pool.starmap(fingerprint, [(folder, files(folder))] * 40)
    assert len(set(digests)) == 1
    assert [file.suffix for file in (cache_folder() / "fingerprints").iterdir()] == [".json"]


def test_links_into_the_hub_cache_have_the_digest_of_their_target(folder, tmp_path):
    linked = tmp_path / "snapshot"
    linked.mkdir()
    (linked / "a.bin").symlink_to(folder / "a.bin")
    shutil.copytree(folder, tmp_path / "plain", ignore=lambda *_: ["b.bin", "sub"])
    assert fingerprint(linked, files(linked)) == fingerprint(tmp_path / "plain", files(tmp_path / "plain"))


def test_a_missing_file_is_refused(folder):
    with pytest.raises(DataError, match="can't be read"):
        fingerprint(folder, [folder / "gone.bin"])


def test_a_file_that_changes_while_it_is_read_is_refused(folder, monkeypatch):
    digest = hashlib.file_digest

    def writes(file, name):
        result = digest(file, name)
        Path(file.name).write_bytes(b"longer or shorter")
        return result

    monkeypatch.setattr(module.hashlib, "file_digest", writes)
    with pytest.raises(DataError, match="changed while it was read"):
        fingerprint(folder, files(folder))
