"""Tests of the checks of tokens and nodes; `engine/test_doctor_on_clusters.py` has those with real clusters."""

from typing import Any

import pytest

from sweeper.cli.checks import clusters
from sweeper.cli.checks.check import FAILED, OK, WARNING

OWN = {"python": "3.11.7", "ray": "2.60.0", "torch": "2.9.1+cpu", "sweeper": "0.1.0"}
RECORD: dict[str, Any] = OWN | {
    "name": "box", "torch": "2.9.1+cu128", "clock": 0.003, "shared_memory": 10**10, "scratch": 10**11,
    "open_files": 65536, "gpus": 4.0, "gpus_of_torch": 4,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "state", "details", "fix"),
    [
        ({}, OK, "python 3.11.7, ray 2.60.0, torch 2.9.1+cu128, sweeper 0.1.0, 4 GPUs, clock 3 ms apart", ""),
        ({"python": "3.11.9"}, OK, "", ""),
        ({"python": "3.12.1"}, FAILED, "it has python 3.12.1, and this machine 3.11.7", "install Python 3.11.7"),
        ({"ray": "2.59.0"}, FAILED, "it has ray 2.59.0, and this machine 2.60.0", "pip install 'ray==2.60.0'"),
        ({"sweeper": None}, FAILED, "sweeper is not installed there", "pip install 'sweeper-stitching==0.1.0'"),
        ({"clock": -90.0}, FAILED, "its clock is 90 s behind that of this machine", "chronyc"),
        ({"clock": 20.0}, WARNING, "its clock is 20 s ahead of that of this machine", "chronyc"),
        ({"gpus_of_torch": 0}, FAILED, "Ray counts 4 GPUs there, and torch 2.9.1+cu128 sees 0", "driver"),
        ({"shared_memory": 10**7}, WARNING, "10 MB free in /dev/shm", "docker run --shm-size=1g"),
        ({"scratch": 10**8}, WARNING, "100 MB free for temporary files", "--temp-dir"),
        ({"open_files": 1024}, WARNING, "1024 open files a process", "ulimit -n 65536"),
        ({"problem": "the actor died"}, FAILED, "no process ran there: the actor died", "ray status"),
    ],
)
def test_a_node_is_compared_with_this_machine(change, state, details, fix):
    check = clusters.check_node(RECORD | change, OWN)
    assert (check.name, check.state) == ("node box", state)
    assert details in check.details
    assert fix in check.fix


def test_a_token_that_others_can_read_is_named(tmp_path, monkeypatch):
    file = tmp_path / "token"
    file.write_text("a" * 64)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    file.chmod(0o644)
    assert clusters.check_token(None).fix == f"chmod 600 {file}"
    file.chmod(0o600)
    assert clusters.check_token(None).state == OK


def test_a_cluster_without_token_mode_is_named(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert clusters.check_token("10.0.0.1:6379").state == FAILED
    assert clusters.check_token(None).state == WARNING
    monkeypatch.delenv("RAY_AUTH_MODE")
    assert clusters.check_token("10.0.0.1:6379").state == WARNING
    assert clusters.check_token(None).state == OK
