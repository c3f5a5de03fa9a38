"""The memory that a query may use, and the folder to which DuckDB moves what doesn't fit into it."""

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path

import duckdb

from sweeper.errors import SetupError
from sweeper.machine import machine_memory

MEMORY = "SWEEPER_QUERY_MEMORY"  # environment variable: a size such as 8GB; default: half of the machine's memory


def set_limits(con: duckdb.DuckDBPyConnection) -> None:
    """Limit the memory of a connection, and let it use the scratch folder. No query can read files in this folder.

    Raises:
        SetupError: The environment variable is not a size.
    """
    limit = os.environ.get(MEMORY) or f"{machine_memory()[1] // 2}B"
    try:
        con.execute("SET memory_limit = $limit", {"limit": limit})
    except duckdb.Error:
        raise SetupError(f"{MEMORY}={limit} is not a size; give one such as 8GB or 500MiB") from None
    con.execute("SET temp_directory = $folder", {"folder": str(_scratch())})


@functools.cache
def _scratch() -> Path:
    """Make the scratch folder of this process, which is deleted at its end."""
    folder = Path(tempfile.mkdtemp(prefix="sweeper-query-"))
    atexit.register(delete_scratch)
    return folder


def delete_scratch() -> None:
    """Delete the scratch folder of this process, if there is one; done before a process ends without Python's end."""
    if _scratch.cache_info().currsize:
        shutil.rmtree(_scratch(), ignore_errors=True)
        _scratch.cache_clear()


def out_of_memory(error: duckdb.Error) -> str:
    """Return the sentence for a query that needs more memory than the limit and the free space for scratch."""
    limit = os.environ.get(MEMORY) or "half of this machine's memory"
    reason = str(error).split("\n", 1)[0].strip()
    return (
        f"the query needs more than {limit} of memory and the free space of {tempfile.gettempdir()} ({reason}); select "
        f"fewer columns or rows, set {MEMORY} to a larger size such as 16GB, or TMPDIR to a folder on a larger disk"
    )
