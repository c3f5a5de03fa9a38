"""Tests of the checks of this machine, in real broken worlds: mount namespaces, limits, taken ports, long paths."""

import json
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping

import pytest

from sweeper.cli.checks import machine
from sweeper.cli.checks.check import FAILED, OK, WARNING


def checks_after(setup: str) -> Mapping[str, Mapping[str, str]]:
    """Run `sweeper doctor` as root of a mount namespace of its own, after some lines of shell; return its checks."""
    command = f"{setup}\n{shlex.quote(sys.executable)} -m sweeper doctor --json --store /mnt/store"
    process = subprocess.run(["unshare", "-m", "sh", "-c", command], capture_output=True, text=True, check=False)
    if "Operation not permitted" in process.stderr or "unshare failed" in process.stderr:
        pytest.skip(f"this user may not mount: {process.stderr.strip()}")
    assert process.stdout, process.stderr
    return {check["name"]: check | {"code": process.returncode} for check in json.loads(process.stdout)}


@pytest.mark.skipif(sys.platform != "linux", reason="mount namespaces are of Linux")
def test_a_tiny_dev_shm_a_full_disk_and_a_read_only_store_are_named_with_their_fix(tmp_path):
    checks = checks_after(
        f"""
        mount -t tmpfs -o size=64m tmpfs /dev/shm
        mount -t tmpfs -o ro tmpfs /mnt
        mount -t tmpfs -o size=64k tmpfs {tmp_path}
        export TMPDIR={tmp_path}
        """
    )
    assert checks["shared memory"]["state"] == WARNING
    assert checks["shared memory"]["details"] == "67.1 MB free in /dev/shm"
    assert "--shm-size=1g" in checks["shared memory"]["fix"]
    assert checks["scratch"]["state"] == FAILED
    assert "No space left on device" in checks["scratch"]["details"]
    assert checks["scratch"]["fix"] == "export TMPDIR=/another/folder"
    assert checks["store"]["state"] == FAILED
    assert "Read-only file system" in checks["store"]["details"]
    assert "--store" in checks["store"]["fix"]
    assert checks["python"]["code"] == 1


def test_a_low_limit_of_open_files_is_a_warning_with_the_command_that_raises_it():
    code = "from sweeper.cli.checks.machine import check_open_files; print(check_open_files().fix)"
    command = f"ulimit -S -n 512; {shlex.quote(sys.executable)} -c {shlex.quote(code)}"
    process = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert process.stdout.startswith("ulimit -n ")
    raised = subprocess.run(["bash", "-c", f"ulimit -S -n 512; {process.stdout}"], check=False)
    assert raised.returncode == 0, "the fix works as it is printed"


def test_a_port_of_ray_that_another_process_has_taken_is_named_with_a_free_one(monkeypatch):
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(machine, "HEAD_PORTS", {port: "--port"})
        check = machine.check_head_ports()
        assert check.state == WARNING
        assert f"{port} is taken by" in check.details
        assert f"(process {os.getpid()})" in check.details
        option, _, other = check.fix.removeprefix("ray start --head ").partition("=")
        assert option == "--port"
        assert machine._is_free(int(other))
    assert machine.check_head_ports().state == OK


def test_a_temporary_folder_with_a_long_path_is_refused_because_of_rays_sockets(tmp_path, monkeypatch):
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    check = machine.check_scratch()
    assert (check.state, check.fix.split()[1]) == (FAILED, "RAY_TMPDIR=/tmp,")
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    assert machine.check_scratch().state == OK


def test_this_machine_reaches_itself():
    assert machine.check_network().state == OK


def test_a_missing_library_has_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(machine.distribution, "requirements", lambda: ["no-such-library>=2", "numpy>=999"])
    missing, old = machine.check_libraries()
    assert (missing.state, missing.fix) == (FAILED, "pip install 'no-such-library>=2'")
    assert (old.state, old.fix) == (FAILED, "pip install 'numpy>=999'")
