"""Commands that read a store end at once after Ctrl-C, after their time limit, and within their memory."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.stopwatch import Stopwatch
from support.store_rows import model, stitch

from sweeper.store.store import Store

# Queries that run for ever inside of DuckDB, of which the second one never looks whether it should stop.
ENDLESS = {
    "join": "SELECT sum(hash(a.range, b.range)) FROM range(10000000) a, range(10000000) b",
    "recursive": "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Make a store with a stitch."""
    store = Store.open(str(tmp_path / "store"), create=True)
    store.commit([model("m1", options="{}"), model("m2", options="{}"), stitch("m1", "m2")], run="r", worker="w")
    return store


def start(
    store: Store, *arguments: str, largest_file: int = resource.RLIM_INFINITY, **environment: str
) -> subprocess.Popen[str]:
    """Start a command on a store, with a TMPDIR of its own, and a limit for the size of a file."""
    scratch = Path(store.url).parent / "tmp"
    scratch.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "sweeper", *arguments, "--store", store.url]
    env = {**os.environ, "TMPDIR": str(scratch), **environment}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest_file, largest_file))
    return process


def wait_until_it_computes(process: subprocess.Popen[str]) -> None:
    """Wait until a command has used more time than it needs to start and to open a store, which is about a second."""
    deadline = time.monotonic() + 60
    while cpu_seconds(process) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)


def peak_memory(process: subprocess.Popen[str]) -> int:
    """Wait until a process ends, and return the most bytes that it has used.

    `os.wait4` would count those of its parent, as which it began.
    """
    peak = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = next((1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), peak)
        time.sleep(0.02)
    return peak


def cpu_seconds(process: subprocess.Popen[str]) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
@pytest.mark.parametrize("query", ENDLESS.values(), ids=ENDLESS)
def test_ctrl_c_ends_a_query_at_once_and_leaves_nothing(store: Store, query: str):
    process = start(store, "sql", query)
    try:
        wait_until_it_computes(process)
        stopwatch = Stopwatch()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert stopwatch.free_seconds < 1
    finally:
        process.kill()
    assert (process.returncode, out, err) == (130, "", "interrupted\n")
    assert list((Path(store.url).parent / "tmp").iterdir()) == []


@pytest.mark.parametrize("query", ENDLESS.values(), ids=ENDLESS)
def test_a_query_ends_at_its_time_limit(store: Store, query: str):
    process = start(store, "sql", query, "--timeout", "1.5")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (1, "", "error: no answer within 1.5 s (--timeout)\n")
    assert list((Path(store.url).parent / "tmp").iterdir()) == []


@pytest.mark.parametrize("command", [("sql", "SELECT 1 AS one"), ("tables", "zoo"), ("audit",), ("report", "-o", "-")])
def test_a_time_limit_that_is_not_reached_changes_nothing(store: Store, command: tuple[str, ...]):
    if command[0] == "report":
        command = ("report", "-o", str(Path(store.url).parent / "page.html"))
    without, limited = start(store, *command), start(store, *command, "--timeout", "100")
    results = [process.communicate(timeout=120) for process in (without, limited)]
    assert results[0] == results[1]
    assert without.returncode == limited.returncode


def test_a_query_that_needs_more_memory_than_its_limit_uses_the_disk(store: Store):
    query = "SELECT count(*) AS n FROM (SELECT DISTINCT md5(range::VARCHAR) FROM range(3000000))"
    process = start(store, "sql", query, "--json", SWEEPER_QUERY_MEMORY="100MB")
    out, err = process.communicate(timeout=200)
    assert (process.returncode, err) == (0, "")
    assert "3000000" in out
    assert list((Path(store.url).parent / "tmp").iterdir()) == []


def test_a_query_that_fits_nowhere_ends_with_a_sentence(store: Store):
    process = start(store, "sql", "SELECT list(range) FROM range(100000000)", SWEEPER_QUERY_MEMORY="50MB")
    _, err = process.communicate(timeout=200)
    assert process.returncode == 2
    assert err.startswith("error: the query needs more than 50MB of memory and the free space of ")
    assert err.count("\n") == 1


def test_a_query_whose_scratch_folder_is_full_ends_with_a_sentence(store: Store):
    query = "SELECT count(*) AS n FROM (SELECT DISTINCT md5(range::VARCHAR) FROM range(3000000))"
    process = start(store, "sql", query, largest_file=2**20, SWEEPER_QUERY_MEMORY="100MB")
    _, err = process.communicate(timeout=200)
    assert process.returncode == 2
    assert err.startswith("error: the query needs more than 100MB of memory and the free space of ")
    assert "File too large" in err
    assert err.count("\n") == 1
    assert list((Path(store.url).parent / "tmp").iterdir()) == []


def test_an_interval_whose_scratch_folder_is_full_ends_with_a_sentence(store: Store):
    outcomes = "repeat((range % 10)::VARCHAR, 1000)::BLOB"
    query = f"SELECT ci('a' || range % 3, 'b' || range % 5, 0.0, {outcomes}, {outcomes}) AS ci FROM range(3000)"
    process = start(store, "sql", query, largest_file=2**20)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 2
    assert err.startswith("error: the query needs more than half of this machine's memory of memory and the free ")
    assert "(File too large)" in err
    assert err.count("\n") == 1
    assert list((Path(store.url).parent / "tmp").iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
@pytest.mark.parametrize("suffix", ["parquet", "csv", pytest.param("json", marks=pytest.mark.slow)])
def test_a_result_is_written_in_batches(store: Store, suffix: str):
    """The result has 800 MB, and the process, of which 200 MB are libraries, has less."""
    file = Path(store.url).parent / f"rows.{suffix}"
    query = "SELECT range AS n, repeat('x', 4000) || range AS text, '\\xFF'::BLOB AS bytes FROM range(200000)"
    process = start(store, "sql", query, "-o", str(file), SWEEPER_QUERY_MEMORY="100MB")
    assert peak_memory(process) < 500e6
    assert process.communicate() == ("", f"wrote {file}\n")
    assert process.returncode == 0
    assert file.stat().st_size > (1e5 if suffix == "parquet" else 8e8)


def test_a_result_that_fails_after_its_first_rows_leaves_no_file(store: Store):
    file = Path(store.url).parent / "rows.csv"
    query = "SELECT if(range > 90000, error('it ends here'), 1) AS n FROM range(200000)"
    _, err = (process := start(store, "sql", query, "-o", str(file))).communicate(timeout=100)
    assert process.returncode == 2
    assert "it ends here" in err
    assert "Traceback" not in err
    assert [path.name for path in file.parent.iterdir() if "rows" in path.name or path.suffix == ".tmp"] == []


def test_a_memory_limit_that_is_no_size_is_refused(store: Store):
    _, err = (process := start(store, "sql", "SELECT 1", SWEEPER_QUERY_MEMORY="much")).communicate(timeout=100)
    assert process.returncode == 2
    assert err == "error: SWEEPER_QUERY_MEMORY=much is not a size; give one such as 8GB or 500MiB\n"
