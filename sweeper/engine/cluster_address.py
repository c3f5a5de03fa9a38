"""The check of a Ray cluster's address before a run joins it.

`ray.init` waits for minutes for an address where nothing answers, for a minute on a machine that is not a node of the
cluster, and for 20 seconds with a line of log each second for a cluster that requires another token. With a token that
it can't find, it aborts the process. The check therefore takes place in a process of its own, with a time limit.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping

from sweeper.errors import SetupError
from sweeper.spec.job.checks.engine_findings import host_and_port

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 25.0  # importing Ray takes a second, or several on a busy machine
NODE_SECONDS = 8.0  # a node that has just been started may need some until the cluster knows it

_ASK = """
import sys
from ray._private.services import get_node_to_connect_for_driver
from ray._raylet import GcsClient
client = GcsClient(address=sys.argv[1])
client.cluster_id
try:
    get_node_to_connect_for_driver(client, timeout_seconds=float(sys.argv[2]))
except RuntimeError:
    sys.exit("no node here")
"""


def check_address(address: str) -> None:
    """Check that a Ray cluster answers at an address and takes this machine's token.

    Args:
        address: `host:port`, or `auto` for the cluster in RAY_ADDRESS or on this machine.

    Raises:
        SetupError: Nothing answers there, it is not a Ray, or it requires another token.
    """
    located = _find_cluster() if address == "auto" else address
    name = f"engine.address={address}" + (f" ({located})" if located != address else "")
    target = host_and_port(located)
    if target is None:
        raise SetupError(f"{name}: this is not HOST:PORT, such as 10.0.0.1:6379")
    try:
        with socket.create_connection(target, timeout=CONNECT_SECONDS):
            pass
    except OSError as error:
        reason = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
        raise SetupError(f"{name}: there is no Ray cluster ({reason}); {_REMEDY}") from None
    if problem := _problem(located):
        raise SetupError(f"{name}: {problem}")


def answers_without_token(address: str) -> bool:
    """Return True if the Ray cluster at an address, which `check_address` has accepted, answers without a token."""
    strangers = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH_")}
    located = _find_cluster() if address == "auto" else address
    return not _problem(located, strangers | {"RAY_AUTH_MODE": "disabled"})


_REMEDY = "start one with `ray start --head`, or leave engine.address out, and Sweeper starts a local Ray"


def _find_cluster() -> str:
    """Return the address that `auto` stands for: that in RAY_ADDRESS, else that of a Ray on this machine."""
    if address := os.environ.get("RAY_ADDRESS", ""):
        return address
    from ray._private.services import canonicalize_bootstrap_address_or_die

    try:
        return canonicalize_bootstrap_address_or_die("auto")
    except ConnectionError:
        raise SetupError(f"engine.address=auto: no Ray is running on this machine; {_REMEDY}") from None


def _problem(address: str, environment: Mapping[str, str] | None = None) -> str:
    """Return why Ray can't be used at an address that accepts connections; "" if it can.

    Args:
        address: The address.
        environment: Environment variables to try with, in place of those of this process.
    """
    command = [sys.executable, "-c", _ASK, address, str(NODE_SECONDS)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            _, log = process.communicate(timeout=ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            return f"something answers there, but not as a Ray cluster within {ANSWER_SECONDS:.0f} s"
        finally:  # a signal may also end the wait
            process.kill()
    if process.returncode == 0:
        return ""
    if "Unauthenticated" in log or "token" in log.lower():
        return (
            "this Ray cluster requires its own token, and this machine has none or another; set RAY_AUTH_MODE=token "
            "and the cluster's RAY_AUTH_TOKEN, or leave engine.address out, and Sweeper starts a local Ray"
        )
    if "no node here" in log:
        return (
            "no node of this Ray cluster runs on this machine, and a run needs one; start one with "
            f"`ray start --address={address}`, or run the command on a node"
        )
    lines = [line for line in log.splitlines() if line.strip()]
    return f"Ray can't connect: {lines[-1].strip() if lines else f'exit code {process.returncode}'}"
