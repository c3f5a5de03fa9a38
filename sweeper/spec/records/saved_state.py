"""The content of a saved state: tensors in the safetensors format, whose metadata name the tasks that it belongs to.

This module reads the metadata without torch, so that a store can tell whose state it holds. Nothing is ever unpickled.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TASKS, VALUES = "tasks", "values"  # the keys of the metadata; both hold JSON
LENGTH_BYTES = 8  # a safetensors file starts with the length of its header


class StateError(ValueError):
    """Bytes that are not a saved state, or a state that doesn't fit the computation that reads it."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The part of a saved state that is not tensors."""

    tasks: tuple[str, ...]  # the ids of the tasks that continue from the state
    values: Mapping[str, Any]  # JSON


def to_metadata(tasks: Sequence[str], values: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata of a safetensors file; floats keep all their bits."""
    return {TASKS: json.dumps(list(tasks)), VALUES: json.dumps(dict(values))}


def read_facts(content: bytes) -> Facts:
    """Return the facts of a saved state.

    Raises:
        StateError: The content is not a saved state.
    """
    try:
        length = int.from_bytes(content[:LENGTH_BYTES], "little")
        metadata = json.loads(content[LENGTH_BYTES : LENGTH_BYTES + length])["__metadata__"]
        return Facts(tuple(json.loads(metadata[TASKS])), json.loads(metadata[VALUES]))
    except (ValueError, TypeError, KeyError) as error:
        raise StateError(f"it is not a saved state ({error})") from None
