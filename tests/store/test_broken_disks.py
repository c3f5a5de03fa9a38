"""A store on broken disks: full, read-only, forbidden, or without hard links between folders.

Each world is made by mounts in a mount namespace of its own, in which a process of its own uses the store.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mount namespaces are of Linux")

USE = """
import json, os, subprocess, sys
from pathlib import Path
from support.compaction import compact
from support.store_rows import model, stitch, weights_of
from sweeper.errors import StoreError, StoreUnreachableError
from sweeper.store.store import Store

def error_of(call):
    try:
        call()
    except StoreError as error:
        return [type(error).__name__, str(error)]

def commit(number):
    return store.commit([stitch("m", str(number))], run="r", worker="w")

def tasks():
    return sorted(Store.open(url).sql("SELECT task FROM stitches")["task"].to_pylist())

url = sys.argv[1]
store = Store.open(url, create=True)
"""


def use_store(tmp_path: Path, mounts: str, code: str, **environment: str) -> Any:
    """Use a store in a process of its own and return what it prints as JSON.

    Args:
        tmp_path: The folder of the store.
        mounts: Lines of shell that break the world; `$STORE` is the store.
        code: Lines of Python after those of `USE`.
        environment: Variables of the process.
    """
    variables = {
        "STORE": str(tmp_path / "store"),
        "SWEEPER_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)]),
    }
    lines = f'set -e\n{mounts}\nexec "$0" -c "$1" "$STORE"'
    process = subprocess.run(
        ["unshare", "-m", "sh", "-c", lines, sys.executable, USE + code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | variables | environment,
        timeout=200,
    )
    if "Operation not permitted" in process.stderr or "unshare failed" in process.stderr:
        pytest.skip(f"this user may not mount: {process.stderr.strip()}")
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def test_a_full_disk_of_the_store_loses_nothing_and_the_same_commit_works_later(tmp_path: Path):
    seen = use_store(
        tmp_path,
        'mkdir "$STORE" && mount -t tmpfs -o size=1m tmpfs "$STORE"',
        """
commit(0)
ballast = Path(url, "tmp", "ballast")
ballast.write_bytes(b"")
with ballast.open("ab", buffering=0) as file:
    try:
        while file.write(bytes(4096)):
            pass
    except OSError:
        pass
error, in_between = error_of(lambda: commit(1)), tasks()
files_in_tmp = len(os.listdir(ballast.parent))
ballast.unlink()
commit(1)
print(json.dumps({"error": error, "in_between": in_between, "in_tmp": files_in_tmp, "tasks": tasks()}))
""",
    )
    name, message = seen["error"]
    assert name == "StoreUnreachableError", "a run waits until there is room"
    assert message == f"the store {tmp_path}/store can't be written: No space left on device"
    assert seen["in_between"] == ["m>0@block1"]
    assert seen["in_tmp"] == 1, "what was half written is deleted"
    assert seen["tasks"] == ["m>0@block1", "m>1@block1"]


@pytest.mark.slow
def test_full_disks_of_the_cache_and_of_temporary_files_change_no_number(tmp_path: Path):
    seen = use_store(
        tmp_path,
        """
        for folder in "$SWEEPER_CACHE" "$TMPDIR"; do
            mkdir "$folder" && mount -t tmpfs -o size=8k tmpfs "$folder"
            dd if=/dev/zero of="$folder/ballast" bs=4096 count=1 2>/dev/null
        done
        """,
        """
for number in range(70):  # more than are read one by one
    commit(number)
error = error_of(lambda: compact(store))
print(json.dumps({"error": error, "tasks": tasks(), "damage": len(store.damage)}))
""",
        TMPDIR=str(tmp_path / "temporary"),
    )
    assert seen["tasks"] == sorted(f"m>{number}@block1" for number in range(70))
    assert seen["damage"] == 0
    name, message = seen["error"]
    assert name == "StoreError"
    assert "temporary files can't be written" in message
    assert "No space left on device" in message


@pytest.mark.slow
def test_a_read_only_store_is_read_and_says_that_it_cannot_be_written(tmp_path: Path):
    seen = use_store(
        tmp_path,
        "",
        """
store.put_weights(weights_of("m1"))
store.commit([model("m1"), stitch("m1", "m1")], run="r", worker="w")
subprocess.run(["mount", "--bind", url, url], check=True)
subprocess.run(["mount", "-o", "remount,ro,bind", url], check=True)
errors = [error_of(call) for call in (
    lambda: commit(1), lambda: store.put_weights(b"new"), lambda: store.lease().__enter__(),
    lambda: store.set_aside(), lambda: store.objects.delete("rows/none"), lambda: compact(store),
)]
print(json.dumps({"errors": errors, "tasks": tasks(), "done": sorted(Store.open(url).done())}))
""",
    )
    assert seen["tasks"] == ["m1>m1@block1"]
    assert seen["done"] == ["m1", "m1>m1@block1"]
    for error in seen["errors"][:3]:
        assert error == ["StoreError", f"the store {tmp_path}/store can't be written: Read-only file system"]


@pytest.mark.slow
def test_a_user_without_rights_is_told_so(tmp_path: Path):
    for folder in (tmp_path, *tmp_path.parents):
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(0o755)  # pytest makes two or three folders, which no other user may enter
    seen = use_store(
        tmp_path,
        "",
        """
commit(0)
tasks()  # imports what this user may not
os.environ["SWEEPER_CACHE"] = "/nowhere/cache"
os.setuid(65534)
store = Store.open(url)
writes = [error_of(call) for call in (lambda: commit(1), lambda: store.lease().__enter__())]
readable = tasks()
print(json.dumps({"writes": writes, "readable": readable}))
""",
    )
    for name, message in seen["writes"]:
        assert (name, message) == ("StoreError", f"the store {tmp_path}/store can't be written: Permission denied")
    assert seen["readable"] == ["m>0@block1"]


def test_without_hard_links_between_folders_nothing_is_overwritten_and_a_retry_completes_a_torn_part(tmp_path: Path):
    seen = use_store(
        tmp_path,
        "",
        """
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", f"{url}/tmp"], check=True)
(path,) = commit(0)
created = [store.objects.create("rows/x", content) for content in (b"first", b"second")]
part = Path(url, path)
part.write_bytes(part.read_bytes()[:100])  # what a process leaves that is killed in such a write
torn = tasks()
assert commit(0) == [path]
print(json.dumps({"created": created, "kept": store.objects.read("rows/x").decode(), "torn": torn, "tasks": tasks()}))
""",
    )
    assert (seen["created"], seen["kept"]) == ([True, False], "first")
    assert seen["torn"] == []
    assert seen["tasks"] == ["m>0@block1"]
