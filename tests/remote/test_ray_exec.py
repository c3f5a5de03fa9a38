"""A test of `ray exec` as the way to a cluster, with Ray's own commands and an `ssh` that reaches this machine."""

import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from support.launch_machine import Machine
from support.ray_nodes import free_port

from sweeper.errors import SetupError
from sweeper.remote.bundle import pack
from sweeper.remote.ray_exec import RayExec
from sweeper.remote.submission import DriverState, prepare
from sweeper.store.store import Store

TRAP = "trap 'exit 130' TERM; echo begun; sleep 600 & wait"
SWEEPER = f"{sys.executable} -m sweeper"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a machine whose `ssh` reaches itself."""
    return Machine(tmp_path, monkeypatch)


@pytest.fixture
def cluster_file(tmp_path: Path, machine: Machine) -> Path:
    """Return the file of a cluster of a head and a worker."""
    port = free_port()
    machine.answer_ssh(port)
    config = {
        "cluster_name": f"exec-{time.time_ns()}",
        "provider": {"type": "local", "head_ip": "127.0.0.1", "worker_ips": ["127.0.0.2"]},
        "auth": {"ssh_user": "nobody", "ssh_private_key": "~/.ssh/id_ed25519"},
        "head_start_ray_commands": [
            f"RAY_enable_autoscaler_v2=0 ray start --head --port={port} --num-cpus=0 --include-dashboard=false "
            "--autoscaling-config=~/ray_bootstrap_config.yaml"
        ],
        "worker_start_ray_commands": [f"ray start --address=$RAY_HEAD_IP:{port} --num-cpus=2"],
    }
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


@pytest.mark.slow
@pytest.mark.timeout(600)  # a node imports torch, in a minute or more on a busy machine
def test_a_job_with_a_users_network_runs_where_there_is_no_job_server(machine, cluster_file, job, tmp_path):
    (job.parent / "nets.py").write_text(
        "from torch import nn\n\ndef net(num_classes: int, in_channels: int):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64 * in_channels, 8), nn.Linear(8, num_classes))\n"
    )
    job.write_text(job.read_text().replace("arch: mlp", "arch: 'nets.py:net'").replace("steps: 20", "steps: 2"))
    up = f"ray get-auth-token --generate && ray up --yes {cluster_file} && echo the cluster is up && sleep 600"
    submit = f"{SWEEPER} submit {job} --trust --store {machine.store} --address {cluster_file} --env TOWN=Delft"
    with machine.running(up, RAY_AUTH_MODE="token") as cluster:
        assert cluster.read_until("the cluster is up"), cluster.output
        submitted = subprocess.run(
            ["bash", "-c", submit], cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False
        )
        assert submitted.returncode == 0, submitted.stdout + submitted.stderr
        assert "complete: 6 tasks done" in submitted.stdout
        assert len(Store.open(str(machine.store)).done()) == 6
        [name] = re.findall(r"^(\S+) starts on", submitted.stderr, flags=re.M)
        client = RayExec(str(cluster_file))
        assert client.state(name).exit_code == 0
        assert "".join(client.log(name, 0)) == submitted.stdout

        waiting = replace(prepare(pack(job), [], "/shared/tiny", {}), command=TRAP)
        client.start(waiting)
        for text in client.log(waiting.name, 0):
            if "begun" in text:
                client.stop(waiting.name)
        assert client.state(waiting.name) == DriverState(ended=True, exit_code=130, message="stopped")
        with pytest.raises(SetupError, match="has no driver absent"):
            client.state("absent")


@pytest.mark.slow
def test_a_cluster_that_answers_without_a_token_is_refused_and_sent_nothing(machine, cluster_file):
    config = yaml.safe_load(cluster_file.read_text())
    config["provider"]["worker_ips"] = []
    [start] = config["head_start_ray_commands"]
    config["head_start_ray_commands"] = [f"export RAY_AUTH_MODE=disabled; {start}"]
    cluster_file.write_text(yaml.safe_dump(config))
    with machine.running(f"ray up --yes {cluster_file} && echo the cluster is up && sleep 600") as cluster:
        assert cluster.read_until("the cluster is up"), cluster.output
        with pytest.raises(SetupError, match=r"answers without a token.*nothing was sent.*RAY_AUTH_MODE=token"):
            RayExec(str(cluster_file)).check()


def test_a_file_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(SetupError, match="there is no such file"):
        RayExec(str(tmp_path / "absent.yaml"))
