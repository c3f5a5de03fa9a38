"""Saved states without tensors."""

import json
from collections.abc import Sequence

from sweeper.spec.records.saved_state import LENGTH_BYTES, to_metadata


def state_of(tasks: Sequence[str]) -> bytes:
    """Return the bytes of a saved state of some tasks."""
    header = json.dumps({"__metadata__": to_metadata(tasks, {})}).encode()
    return len(header).to_bytes(LENGTH_BYTES, "little") + header
