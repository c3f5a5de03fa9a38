"""The memory that a query may use, and the place to which DuckDB moves what doesn't fit into it."""

import os
import tempfile

import duckdb

from sweeper.errors import SetupError
from sweeper.machine import machine_memory
from sweeper.store.query.scratch_files import URL, ScratchFiles

MEMORY = "SWEEPER_QUERY_MEMORY"  # environment variable: a size such as 8GB; default: half of the machine's memory


def set_limits(con: duckdb.DuckDBPyConnection) -> None:
    """Limit the memory of a connection, and give it a temporary folder (`scratch_files.py`).

    Raises:
        SetupError: The environment variable is not a size.
    """
    limit = os.environ.get(MEMORY) or f"{machine_memory()[1] // 2}B"
    try:
        con.execute("SET memory_limit = $limit", {"limit": limit})
    except duckdb.Error:
        raise SetupError(f"{MEMORY}={limit} is not a size; give one such as 8GB or 500MiB") from None
    con.execute("SET enable_progress_bar = false")  # DuckDB would draw it on stdout, between the rows of a result
    con.register_filesystem(ScratchFiles())
    con.execute("SET temp_directory = $url", {"url": URL})


def out_of_memory(text: str) -> str:
    """Return the sentence for a query that needs more memory than the limit and the free space of its scratch folder.

    Args:
        text: What DuckDB or the operating system says.
    """
    limit = os.environ.get(MEMORY) or "half of this machine's memory"
    reason = text.split("\n", 1)[0].strip()
    return (
        f"the query needs more than {limit} of memory and the free space of {tempfile.gettempdir()} ({reason}); select "
        f"fewer columns or rows, set {MEMORY} to a larger size such as 16GB, or TMPDIR to a folder on a larger disk"
    )
