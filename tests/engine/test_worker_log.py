"""Tests of the log of a worker: the files of its output, and their last lines."""

import subprocess
import sys
from pathlib import Path

from sweeper.engine.worker_log import TAIL_BYTES, log_tail


def test_the_files_that_the_output_of_a_process_goes_to_are_found(tmp_path: Path):
    code = "import sys; from sweeper.engine.worker_log import own_logs; print(*own_logs(), file=sys.stderr)"
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("w") as stdout, err.open("w") as stderr:
        subprocess.run([sys.executable, "-c", code], stdout=stdout, stderr=stderr, check=True)
    assert err.read_text().split() == [str(err), str(out)]
    piped = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert piped.stderr.strip() == "", "a pipe is no file"


def test_the_tail_has_whole_lines_of_each_file(tmp_path: Path):
    long, short, absent = tmp_path / "long", tmp_path / "short", tmp_path / "absent"
    long.write_text("".join(f"line {number}\n" for number in range(10_000)))
    short.write_bytes(b"caf\xe9\n")
    tail = log_tail([str(long)])
    assert tail is not None
    assert tail.splitlines()[0].startswith("line ")
    assert tail.endswith("line 9999")
    assert TAIL_BYTES - 20 < len(tail) < TAIL_BYTES
    assert log_tail([str(absent), str(short)]) == "caf\\xe9"
    assert log_tail([str(short), str(long)]) == f"short:\ncaf\\xe9\nlong:\n{tail}"
    assert log_tail([str(absent)]) is None
