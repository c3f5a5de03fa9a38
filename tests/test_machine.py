"""Tests of the memory of a machine and of a container on it."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeper.machine import machine_memory


def test_the_memory_of_a_container_is_used_if_its_limit_is_lower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    machine = SimpleNamespace(total=1000 * 1024, available=400 * 1024)
    monkeypatch.setattr("psutil.virtual_memory", lambda: machine)
    assert machine_memory(tmp_path) == (600 * 1024, 1000 * 1024)

    (tmp_path / "memory.max").write_text("max\n")
    assert machine_memory(tmp_path) == (600 * 1024, 1000 * 1024)

    (tmp_path / "memory.max").write_text("500000\n")
    (tmp_path / "memory.current").write_text("400000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 50000\nactive_file 30000\n")
    assert machine_memory(tmp_path) == (320_000, 500_000)
