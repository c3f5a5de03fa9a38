"""Tests of `sweeper doctor` on real clusters: one in order, a stopped one, one with another token, one without any."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.driver_process import MARK, processes_with
from support.ray_nodes import RayNodes, ray_nodes
from support.toy_store import JOB

TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}


def diagnose(folder: Path, address: str, **environment: str) -> tuple[int, Mapping[str, Mapping[str, str]]]:
    """Run `sweeper doctor` on a job and a cluster; return the exit code and the checks by name."""
    job = folder / "toy.yaml"
    job.write_text(JOB)
    command = [sys.executable, "-m", "sweeper", "doctor", str(job), f"engine.address={address}", "--json"]
    process = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env=os.environ | environment, timeout=300
    )
    assert process.stdout, process.stderr
    return process.returncode, {check["name"]: check for check in json.loads(process.stdout)}


def signal_processes(cluster: RayNodes, program: str, number: signal.Signals) -> None:
    """Send a signal to the processes of a program of a cluster."""
    for pid in processes_with(f"{MARK}={cluster.mark}"):
        if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].endswith(program.encode()):
            os.kill(pid, number)


@pytest.mark.slow
def test_a_cluster_with_a_token_is_in_order_until_it_is_stopped(toy_environment, tmp_path):
    with ray_nodes(tmp_path, "--include-dashboard=false", **TOKEN) as cluster:
        code, checks = diagnose(tmp_path, cluster.address, **TOKEN)
        assert checks["cluster"]["details"] == f"{cluster.address} answers, and requires a token"
        [node] = [check for name, check in checks.items() if name.startswith("node ")]
        assert node["state"] == "ok", node
        assert "ms apart" in node["details"]
        assert (code, checks["job"]["state"], checks["store"]["state"]) == (0, "ok", "ok")

        code, checks = diagnose(tmp_path, cluster.address, **TOKEN | {"RAY_AUTH_TOKEN": "b" * 64})
        assert (code, checks["cluster"]["state"]) == (1, "failed")
        assert "requires its own token" in checks["cluster"]["details"]
        assert "RAY_AUTH_TOKEN" in checks["cluster"]["fix"]

        signal_processes(cluster, "gcs_server", signal.SIGSTOP)
        code, checks = diagnose(tmp_path, cluster.address, **TOKEN)
        assert (code, checks["cluster"]["state"]) == (1, "failed")
        assert "not as a Ray cluster within" in checks["cluster"]["details"]


@pytest.mark.slow
def test_a_node_that_hangs_is_named_and_the_others_answer(toy_environment, tmp_path):
    with ray_nodes(tmp_path, "--include-dashboard=false", **TOKEN) as cluster:
        cluster.add("gpu", 1, 1)
        cluster.add("hanging", 1)
        for pid in processes_with("TOY_NODE=hanging", f"{MARK}={cluster.mark}"):
            if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].endswith(b"raylet"):
                os.kill(pid, signal.SIGSTOP)
        command = [sys.executable, "-m", "sweeper.cli.checks.ask_nodes", cluster.address, "90"]
        process = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | TOKEN)
    records = json.loads(process.stdout.splitlines()[-1])
    problems = sorted(record.get("problem", "") for record in records)
    assert problems in (["", "", "no answer in time"], ["", "", "no answer; Ray has given the node up"])
    [gpu_node] = [record for record in records if record.get("gpus")]
    assert (gpu_node["gpus"], gpu_node["gpus_of_torch"]) == (1.0, 0), "Ray was told of a GPU that is not there"


@pytest.mark.slow
def test_a_cluster_that_answers_without_a_token_is_refused(toy_environment, tmp_path):
    with ray_nodes(tmp_path, "--include-dashboard=false", RAY_AUTH_MODE="disabled") as cluster:
        code, checks = diagnose(tmp_path, cluster.address)
    assert (code, checks["cluster"]["state"]) == (1, "failed")
    assert "answers without a token" in checks["cluster"]["details"]
    assert "RAY_AUTH_MODE=token" in checks["cluster"]["fix"]
