"""A store that changes while it is open: moved or deleted folders, foreign files, and parts that go or are damaged."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.damage import flipped
from support.store_rows import model, stitch, weights_of

from sweeper.errors import StoreError
from sweeper.store.store import Store

READS: dict[str, Callable[[Store], object]] = {
    "sql": lambda store: store.sql("SELECT task, gain, hex(correct) FROM stitches ORDER BY task").to_pylist(),
    "done": lambda store: sorted(store.done()),
    "runs": lambda store: store.runs(),
    "tables": lambda store: [table.rows.num_rows for table in store.tables("penalty_by_cut")],
}


@pytest.fixture
def filled(store: Store) -> Store:
    """Fill a store with two models, their weights and two parts of stitches."""
    store.put_weights(weights_of("m1"))
    store.put_weights(weights_of("m2"))
    store.commit([model("m1", options="{}"), model("m2", options="{}")], run="r", worker="w")
    for b in ("m1", "m2"):
        store.commit([stitch("m1", b)], run="r", worker=b)
    return store


def parts(store: Store) -> list[Path]:
    """Return the files of the parts of stitches."""
    return sorted((Path(store.url) / "rows" / "stitches").iterdir())


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("change", ["moved", "deleted", "without its mark"])
def test_a_store_whose_folder_is_gone_is_not_read_as_empty(filled: Store, read, change: str):
    read(filled)
    match change:
        case "moved":
            Path(filled.url).rename(Path(filled.url).with_name("elsewhere"))
        case "deleted":
            shutil.rmtree(filled.url)
        case "without its mark":
            (Path(filled.url) / "sweeper.json").unlink()
    with pytest.raises(StoreError, match=r"there is no store at|is not a store"):
        read(filled)


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.commit([stitch("m2", "m1")], run="r", worker="w"),
        lambda store: store.put_weights(b"new"),
        lambda store: store.lease().__enter__(),
    ],
    ids=["commit", "put_weights", "lease"],
)
def test_nothing_is_written_where_the_folder_of_a_store_was(filled: Store, write):
    shutil.move(filled.url, filled.url + ".moved")
    with pytest.raises(StoreError, match="is gone: its folder was moved or deleted"):
        write(filled)
    assert not Path(filled.url).exists()


@pytest.mark.parametrize("read", [READS["sql"], READS["done"]], ids=["sql", "done"])
def test_a_part_that_goes_between_check_and_scan_is_left_out_by_a_second_try(filled: Store, monkeypatch, read):
    everything = read(filled)
    first, *_ = parts(filled)
    check = filled._verifier.check
    checks = []

    def check_then_move(**options):
        checked = check(**options)
        if not checks:
            first.rename(first.with_suffix(".moved"))
        checks.append(checked)
        return checked

    monkeypatch.setattr(filled._verifier, "check", check_then_move)
    result = read(filled)
    assert len(checks) == 2
    assert result == read(Store.open(filled.url))
    assert result != everything


def test_a_bit_that_flips_without_a_trace_in_the_files_state_is_found_and_left_out(filled: Store, monkeypatch):
    """The state of a file is patched, because no system call flips a bit of a disk."""
    rows = READS["sql"](filled)
    first, *_ = parts(filled)
    known = filled._verifier._known_files
    find = known.find
    states = {path: file.state for path, file in known._known.items()}
    monkeypatch.setattr(known, "find", lambda path, state: find(path, states.get(path, state)))
    for bit in random.Random(0).sample(range(8 * first.stat().st_size), 30):
        content = first.read_bytes()
        first.write_bytes(flipped(content, bit))
        found = READS["sql"](filled)
        assert found in (rows, [row for row in rows if row["task"] not in first_tasks(rows, first)]), bit
        first.write_bytes(content)
        filled.done()


def first_tasks(rows, part: Path) -> set[str]:
    """Return the task of the rows of a part, which its worker's name tells."""
    b = part.name.split("-")[1]
    return {row["task"] for row in rows if row["task"].startswith(f"m1>{b}@")}


@pytest.mark.parametrize("kind", ["pipe", "loop", "folder loop", "link to nothing", "sub-folder", "socket"])
def test_what_is_no_part_is_named_and_neither_hangs_nor_hides_the_parts(filled: Store, kind: str):
    rows = READS["sql"](filled)
    folder = Path(filled.url) / "rows" / "stitches"
    first = parts(filled)[0]
    strange = folder / first.name.replace("r-", "q-", 1)
    match kind:
        case "pipe":
            os.mkfifo(strange)
        case "loop":
            strange.symlink_to(strange)
        case "folder loop":
            (folder / "again").symlink_to(folder.parent)
        case "link to nothing":
            strange.symlink_to("/nowhere/at-all")
        case "sub-folder":
            strange = folder / "older" / strange.name
            strange.parent.mkdir()
            shutil.copy(first, strange)
        case "socket":
            os.mknod(strange, 0o140644)
    assert READS["sql"](filled) == rows
    damaged = [damage.path for damage in filled.damage]
    assert damaged == ([] if kind == "folder loop" else [str(strange.relative_to(filled.url))])
    filled.set_aside()
    assert READS["sql"](filled) == rows
    assert filled.damage == []


def test_weights_that_are_a_pipe_do_not_hang(filled: Store):
    digest = filled.put_weights(b"other")
    file = Path(filled.url) / "weights" / f"{digest}.safetensors"
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(StoreError, match="is not a regular file; move it away"):
        filled.get_weights(digest)
