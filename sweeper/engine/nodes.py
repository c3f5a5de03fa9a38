"""The nodes of the cluster that a driver is connected to: those present, and the kinds that its autoscaler can add."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil
import ray
from ray.autoscaler.sdk import request_resources
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from .placement import Node, Shape

POLL_SECONDS = 0.5
END_SECONDS = 2.0  # for the last request; a cluster whose head is gone does not answer it


def present_nodes() -> list[Node]:
    """Return each living node."""
    return [
        Node(node["Resources"], node.get("Labels", {}), node["NodeID"], node["NodeManagerHostname"])
        for node in ray.nodes()
        if node["Alive"]
    ]


def this_node() -> Node:
    """Return the node of this process."""
    node_id = ray.get_runtime_context().get_node_id()
    return next((node for node in present_nodes() if node.id == node_id), Node({}))


def kinds_to_come(gcs_address: str) -> list[Node]:
    """Return the kinds of nodes that the autoscaler of the cluster at an address can add.

    Ray does not publish them. The autoscaler of `ray up` runs on the head, as the driver of a launch file does, and its
    process names the file with its settings. The list is empty if this process runs elsewhere, and on Kubernetes. A
    kind whose resources are not in the file has none here.
    """
    file = _autoscaler_file(gcs_address)
    if file is None:
        return []
    try:
        settings = YAML(typ="safe", pure=True).load(file)
    except (OSError, YAMLError):
        return []
    kinds = settings.get("available_node_types") if isinstance(settings, Mapping) else None
    return [
        Node(kind.get("resources") or {}, kind.get("labels") or {})
        for name, kind in (kinds or {}).items()
        if name != settings.get("head_node_type") and kind.get("max_workers", 1)
    ]


def _autoscaler_file(gcs_address: str) -> Path | None:
    """Return the file of settings that the autoscaler of a cluster was started with, if it runs on this machine."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            arguments = process.cmdline()
            if f"--gcs-address={gcs_address}" in arguments:
                for argument in arguments:
                    if argument.startswith("--autoscaling-config="):
                        return Path(argument.partition("=")[2]).expanduser()
    return None


class NodeWatch:
    """A thread that reads the nodes every half second and passes the wanted workers on to the autoscaler.

    It is a thread because a call to a cluster whose head does not answer can take a minute.

    Args:
        autoscaled: True: the cluster may have an autoscaler. Without one, a request has no effect.
    """

    def __init__(self, autoscaled: bool):
        self.nodes: Sequence[Node] = present_nodes()
        self.kinds: Sequence[Node] = kinds_to_come(ray.get_runtime_context().gcs_address) if autoscaled else ()
        self.wanted: Mapping[Shape, int] = {}  # set by the driver
        self._autoscaled, self._requested = autoscaled, {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper-nodes", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._thread.join(END_SECONDS)

    def _run(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            with suppress(Exception):  # Ray raises errors of several kinds while its head does not answer
                self.nodes = present_nodes()
                self._request(dict(self.wanted))
        with suppress(Exception):
            self._request({})  # the autoscaler may now remove the nodes

    def _request(self, wanted: dict[Shape, int]) -> None:
        if not self._autoscaled or wanted == self._requested:
            return
        bundles = [shape.bundle for shape, count in wanted.items() for _ in range(count)]
        selectors = [dict(shape.selector) for shape, count in wanted.items() for _ in range(count)]
        request_resources(bundles=bundles, bundle_label_selectors=selectors if any(selectors) else None)
        self._requested = wanted
