"""Ids: the id of a task is a hash of everything that can change its result.

The hash covers the kind of task, every field of its spec (defaults too), the ids of its inputs and the semantic version
of the kernel that performs it. The machine, the packing and the job file do not enter it. Ids are typed and canonical:
`1` and `1.0` differ in text and are equal in a field declared as a float, the order of keys doesn't matter, and no
float is rounded.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence

# The semantic version of each kernel. Raise it when the kernel's results change by more than floating-point noise: old
# rows keep their ids, and the tasks get new ids and run again.
KERNELS: Mapping[str, int] = {"train": 1, "stitch": 4, "measure": 1}

# Fields that were added to a spec after its first ids were published, each with its neutral value. A field with its
# neutral value is left out of the id, so that old ids stay valid. These values never change, even if a default does.
FIELDS_ADDED_LATER: Mapping[str, Mapping[str, "Value"]] = {
    "train": {
        "warmup": 0.0,
        "label_smoothing": 0.0,
        "label_noise_kind": "other_class",
        "shards": 1,
        "shard": 0,
        "subset_seed": 0,
        "labels": (),
        "objective": "supervised",
        "temperature": 0.0,
        "probe_steps": 0,
        "init": None,
        "reset": "none",
        "freeze": (),
        "weights": "none",
        "code": "none",
        "input": None,
        "head": "weights",
    },
    "stitch": {"stop": "held_out", "sender": "network", "train": "stitcher", "source": ""},
    "measure": {"null": 0},
}

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)

Value = None | bool | int | float | str | Sequence["Value"] | Mapping[str, "Value"]


def canonical(value: Value) -> str:
    """Return the canonical JSON text of a value: sorted keys, no spaces, shortest exact floats.

    Raises:
        ValueError: A float is not finite; such a setting has no meaning and no stable text.
    """
    return _ENCODER.encode(_plain(value))


def ident(kind: str, spec: Mapping[str, Value], inputs: Sequence[str] = ()) -> str:
    """Return the id of a task: 32 hexadecimal digits (128 bits of BLAKE2b).

    Args:
        kind: The kind of task, a key of `KERNELS`.
        spec: The fields of the task. Fields of `FIELDS_ADDED_LATER` with their neutral value don't change the id.
        inputs: The ids of the models that the task uses, in order.
    """
    return idents(kind, spec)(inputs).hex()


def idents(kind: str, spec: Mapping[str, Value]) -> Callable[[Sequence[str]], bytes]:
    """Return a function from inputs to the 16 bytes of an id, for many tasks that differ only in their inputs.

    The spec is encoded and hashed once, so that an id takes a fifth of the time of `ident`.
    """
    neutral = FIELDS_ADDED_LATER.get(kind, {})
    spec = {name: value for name, value in spec.items() if name not in neutral or value != neutral[name]}
    prefix_hash = hashlib.blake2b(f'["{kind}",{KERNELS[kind]},{canonical(spec)},'.encode(), digest_size=16)

    def id_bytes(inputs: Sequence[str]) -> bytes:
        full_hash = prefix_hash.copy()
        full_hash.update(f"{canonical(list(inputs))}]".encode())
        return full_hash.digest()

    return id_bytes


def digest(content: bytes | memoryview) -> str:
    """Return the digest of bytes (weights, parts, data files): 64 hexadecimal digits of SHA-256."""
    return hashlib.sha256(content).hexdigest()


def _plain(value: Value) -> Value:
    """Replace tuples by lists and -0.0 by 0.0, so that equal values have equal texts."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} can't be part of an id")
        return value + 0.0
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
