"""Checks of this machine: Python, libraries, memory, disks, limits and ports."""

import os
import resource
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from sweeper import distribution
from sweeper.cli import show
from sweeper.errors import SetupError
from sweeper.files import check_cache_folder, check_space

from .check import FAILED, OK, WARNING, Check

MIN_MEMORY = 2_000_000_000  # bytes for Ray itself and one worker with torch
MIN_DISK = 2_000_000_000  # bytes for the files of Ray's session and for objects that it spills to disk
SHARED_MEMORY = Path("/dev/shm")
MIN_SHARED_MEMORY = 220 * 2**20  # bytes; Ray's object store has 200 MiB, and goes to a slow disk without them
MIN_FILES = 4096  # open files: Ray's processes hold several for each worker
# Ray's sockets are files, whose paths have at most 107 bytes on Linux (103 on macOS); below its folder Ray adds the
# date, the time, a process id and a name, such as /ray/session_2026-11-29_18-22-56_013034_1234567/sockets/plasma_store.
LONGEST_FOLDER = (107 if sys.platform == "linux" else 103) - 69
# The ports that `ray start --head` takes, with the option that names another one.
HEAD_PORTS = {6379: "--port", 8265: "--dashboard-port", 10001: "--ray-client-server-port"}


def check_python() -> Check:
    """Check the version of Python."""
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    details = f"{sys.version.split()[0]} at {sys.executable}"
    return Check("", OK, details) if supported else Check("", FAILED, details, "install Python 3.11, 3.12 or 3.13")


def check_libraries() -> Iterator[Check]:
    """Compare the installed version of each dependency with the required one."""
    from packaging.requirements import Requirement

    for requirement in map(Requirement, distribution.requirements()):
        if requirement.marker and not requirement.marker.evaluate():
            continue
        fix = f"pip install '{requirement.name}{requirement.specifier}'"
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            yield Check(requirement.name, FAILED, f"not installed; {requirement} is needed", fix)
            continue
        if requirement.specifier.contains(installed, prereleases=True):
            yield Check(requirement.name, OK, installed)
        else:
            yield Check(requirement.name, FAILED, f"{installed}; {requirement} is needed", fix)


def check_memory() -> Check:
    """Check that the machine, or its container, has memory for a worker."""
    from sweeper.machine import machine_memory

    used, total = machine_memory()
    details = f"{show.format_bytes(total - used)} free of {show.format_bytes(total)}"
    if total - used >= MIN_MEMORY:
        return Check("", OK, details)
    return Check("", WARNING, details, f"end other programs; Ray and a worker need {show.format_bytes(MIN_MEMORY)}")


def check_shared_memory(folder: Path = SHARED_MEMORY) -> Check:
    """Check the size of /dev/shm, which is 64 MB in a container by default."""
    if not folder.is_dir():
        return Check("", OK, f"this system has no {folder}")
    free = shutil.disk_usage(folder).free
    details = f"{show.format_bytes(free)} free in {folder}"
    if free >= MIN_SHARED_MEMORY:
        return Check("", OK, details)
    fix = f"docker run --shm-size=1g, or as root: mount -o remount,size=1g {folder}; without it Ray uses a slow disk"
    return Check("", WARNING, details, fix)


def check_scratch() -> Check:
    """Check the folder of temporary files, in which Ray keeps its session, and the path of its sockets."""
    folder = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    try:
        check_space(folder)
    except OSError as error:
        return Check("", FAILED, f"{folder} can't be written ({error.strerror})", "export TMPDIR=/another/folder")
    if len(os.fsencode(folder)) > LONGEST_FOLDER:
        details = f"{folder}: paths of Ray's sockets would be too long for the system"
        return Check("", FAILED, details, "export RAY_TMPDIR=/tmp, or another folder with a short path")
    return _space(folder)


def check_working_folder() -> Check:
    """Check the space in the working folder, where stores are by default."""
    return _space(Path.cwd())


def check_cache() -> Check:
    """Check that the cache folder can be written."""
    try:
        check_cache_folder()
    except SetupError as error:
        return Check("", FAILED, str(error), "export SWEEPER_CACHE=/another/folder")
    return Check("", OK, "it can be written")


def _space(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    details = f"{show.format_bytes(free)} free in {folder}"
    if free >= MIN_DISK:
        return Check("", OK, details)
    return Check("", WARNING, details, f"delete files, or use another disk; {show.format_bytes(MIN_DISK)} are enough")


def check_open_files() -> Check:
    """Check the number of files that a process may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    details = f"{_limit_text(soft)} a process, which may raise it to {_limit_text(hard)}"
    if soft == resource.RLIM_INFINITY or soft >= MIN_FILES:
        return Check("", OK, details)
    if hard == resource.RLIM_INFINITY or hard >= MIN_FILES:
        return Check("", WARNING, details, f"ulimit -n {65536 if hard < 0 or hard >= 65536 else hard}")
    fix = "as root, set `nofile` to 65536 in /etc/security/limits.conf, or docker run --ulimit nofile=65536"
    return Check("", WARNING, details, fix)


def _limit_text(limit: int) -> str:
    return "any number" if limit == resource.RLIM_INFINITY else f"{limit:,}"


def check_network() -> Check:
    """Check that this machine reaches itself at the address that Ray's processes use among themselves."""
    from ray.util import get_node_ip_address

    address = get_node_ip_address()
    try:
        with socket.create_server((address, 0)) as server:
            socket.create_connection(server.getsockname(), timeout=3).close()
    except OSError as error:
        details = f"this machine doesn't reach itself at {address} ({error.strerror or error})"
        return Check("", FAILED, details, f"allow connections to {address} in the firewall or VPN of this machine")
    return Check("", OK, f"this machine reaches itself at {address}")


def check_head_ports() -> Check:
    """Check the ports of `ray start --head`; a local Ray takes any that are free."""
    taken = {port: name for port in HEAD_PORTS if (name := _owner(port))}
    others = {port: name for port, name in taken.items() if not _is_ray(name)}
    if not others:
        used = f"; taken by Ray: {', '.join(map(str, taken))}" if taken else ""
        return Check("", OK, f"{', '.join(map(str, HEAD_PORTS))} are free for `ray start --head`{used}")
    details = ", ".join(f"{port} is taken by {name}" for port, name in others.items())
    options = " ".join(f"{HEAD_PORTS[port]}={_free_port(port)}" for port in others)
    return Check("", WARNING, f"{details}; a local run doesn't need it", f"ray start --head {options}")


def _owner(port: int) -> str:
    """Return the process that listens on a port, "another process" if it can't be known, "" if the port is free."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        connections = []
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            try:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
            except psutil.Error:
                break
    return "" if _is_free(port) else "another process"


def _is_ray(owner: str) -> bool:
    return owner.startswith(("gcs_server", "raylet", "ray::", "ray-"))


def _is_free(port: int) -> bool:
    try:
        with closing(socket.create_server(("", port))):
            return True
    except OSError:
        return False


def _free_port(port: int) -> int:
    return next(other for other in range(port + 1, port + 100) if _is_free(other))


def check_charts() -> Check:
    """Check whether reports can have charts."""
    from sweeper.report.charts import drawing

    if drawing.available():
        return Check("", OK, "page and charts")
    fix = distribution.install_command("report")
    return Check("", WARNING, "vl-convert-python is missing, so reports have no charts", fix)


def check_cifar10() -> Check:
    """Check the folder of CIFAR-10, which the small jobs of the paper read."""
    folder = os.environ.get("SWEEPER_CIFAR10")
    if not folder:
        return Check("", OK, "not set; only the small CIFAR-10 jobs and some tests need it")
    count = len(list(Path(folder).glob("**/*.parquet")))
    if count:
        return Check("", OK, f"{count} Parquet file(s) in {folder}")
    return Check("", FAILED, f"no Parquet file in {folder}", "unset SWEEPER_CIFAR10, or name the folder of the files")
