"""Tests of the kinds of nodes that the autoscaler of a cluster can add."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sweeper.engine.nodes import kinds_to_come
from sweeper.engine.placement import Node

FILE = """
head_node_type: head
available_node_types:
  head: {max_workers: 0, resources: {CPU: 0}}
  gpu: {max_workers: 8, resources: {CPU: 8, GPU: 1}, labels: {market: spot}}
  none: {max_workers: 0, resources: {CPU: 64}}
  unknown: {max_workers: 2}
"""


@contextmanager
def autoscaler(address: str, file: Path) -> Iterator[None]:
    """Start a process with the arguments of an autoscaler."""
    arguments = [f"--gcs-address={address}", f"--autoscaling-config={file}"]
    code = "import time; print(flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE)
    try:
        assert process.stdout
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.communicate()


def test_the_kinds_are_read_from_the_file_of_the_autoscaler(tmp_path):
    file = tmp_path / "cluster.yaml"
    file.write_text(FILE)
    with autoscaler("10.0.0.1:6379", file):
        assert kinds_to_come("10.0.0.1:6379") == [Node({"CPU": 8, "GPU": 1}, {"market": "spot"}), Node({})]
        assert kinds_to_come("10.0.0.2:6379") == [], "the autoscaler of another cluster"


@pytest.mark.parametrize("text", ["", "[", "a list: [1]", "available_node_types:"])
def test_a_file_without_kinds_has_none(tmp_path, text):
    file = tmp_path / "cluster.yaml"
    file.write_text(text)
    with autoscaler("10.0.0.3:6379", file):
        assert kinds_to_come("10.0.0.3:6379") == []


def test_a_missing_file_has_no_kinds(tmp_path):
    with autoscaler("10.0.0.4:6379", tmp_path / "missing.yaml"):
        assert kinds_to_come("10.0.0.4:6379") == []
