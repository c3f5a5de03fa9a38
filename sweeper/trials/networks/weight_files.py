"""The reading of weights that other programs wrote: safetensors, or what `torch.save` wrote, wrapped or not.

No code in a file is ever run. Classes that torch's loader of plain tensors doesn't know, such as the
`argparse.Namespace` of a training script, are replaced by empty classes of the same name.
"""

import io
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from sweeper.errors import NetworkError

# Keys under which training programs keep a state dict, in the order in which they are preferred. The averaged weights
# (`model_ema`, `state_dict_ema`) of a checkpoint are not read if it also has the others. Of a student and its teacher
# (DINO, iBOT) the teacher is read, which is the average of the students and the network that is evaluated.
WRAPPERS = ("state_dict", "model_state_dict", "model", "model_state", "net", "network", "params", "weights", "module")
AVERAGES = ("state_dict_ema", "model_ema", "ema", "ema_state_dict", "params_ema", "teacher")
MOST_KEYS = 3  # keys of a file that a message names
SAVE = "torch.save(network.state_dict(), FILE) writes weights"

# Parts of names that torch's wrappers of modules add: torch.compile, FSDP and activation checkpointing.
_ADDED = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_REFUSED = re.compile(r"Unsupported global: GLOBAL (\S+) was not an allowed global")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")  # ANSI codes, which torch's messages contain


def read_state_dict(content: bytes) -> Mapping[str, Tensor]:
    """Return the state dict in a file's bytes, without the wrappers around it.

    Raises:
        NetworkError: The file contains anything else; the message continues a sentence that begins with "it is".
    """
    return {_ADDED.sub("", name): tensor for name, tensor in _unwrap(_contents(content), ()).items()}


def _contents(content: bytes) -> Any:
    try:
        if content[8:9] == b"{":  # a safetensors file: a header in JSON follows 8 bytes with its length
            return load(content)
        return _load_plain(content)
    except SafetensorError as error:
        raise NetworkError(
            f"not a safetensors file, or it is damaged: {one_line(error)}; copy the file again"
        ) from None
    except NetworkError:
        raise
    except Exception as error:  # torch raises several kinds; UnpicklingError where there is more than plain tensors
        if "TorchScript" in str(error):
            raise NetworkError(f"a TorchScript program, not a state dict; {SAVE}") from None
        if isinstance(error, EOFError) or "archive" in str(error):
            raise NetworkError("damaged or incomplete; copy the file again") from None
        raise NetworkError(f"not a state dict of plain tensors: {one_line(error)}; {SAVE}") from None


def _load_plain(content: bytes) -> Any:
    try:
        unknown = get_unsafe_globals_in_checkpoint(io.BytesIO(content))
    except ValueError:  # a file older than torch 1.6 can't be searched for classes: its reader names one at a time
        unknown = []
    while True:
        try:
            with safe_globals([(_empty_class(name), name) for name in unknown]):
                return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except UnpicklingError as error:
            refused = _REFUSED.search(str(error))
            if refused and refused[1] not in unknown:
                unknown.append(refused[1])
            elif unknown:
                objects = f"objects of the class {listing(unknown)}, whose code isn't run"
                raise NetworkError(f"not a state dict of plain tensors, but has {objects}; {SAVE}") from None
            else:
                raise


def _empty_class(name: str) -> Any:
    return type(name.rpartition(".")[2], (_Unknown,), {"name": name})


class _Unknown:
    """An object of a class that a file names, which isn't imported; it keeps nothing but the class's name."""

    name = ""

    def __new__(cls, *_: object, **__: object) -> "_Unknown":
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        self.modules = isinstance(state, dict) and "_modules" in state


def _unwrap(value: Any, keys: tuple[str, ...]) -> Mapping[str, Tensor]:
    """Return the state dict in a file's content, which may be an entry of a dictionary, also of a nested one."""
    if _is_state_dict(value):
        return value
    if isinstance(value, _Unknown):
        if getattr(value, "modules", False):
            raise NetworkError(f"a whole pickled network of the class {value.name}, whose code isn't run; {SAVE}")
        raise NetworkError(f"an object of the class {value.name}, not a state dict; {SAVE}")
    if not isinstance(value, Mapping):
        raise NetworkError(f"not a state dict, but a {type(value).__name__}; {SAVE}")
    wrapped = {str(key): item for key, item in value.items() if _is_state_dict(item) or _holds_one(item)}
    preferred = [key for key in (*WRAPPERS, *AVERAGES) if key in wrapped] or list(wrapped)
    if len(preferred) > 1 and preferred[0] not in (*WRAPPERS, *AVERAGES):
        raise NetworkError(f"a dictionary with several state dicts ({listing(preferred)}); save one of them alone")
    if preferred:
        return _unwrap(wrapped[preferred[0]], (*keys, preferred[0]))
    networks = [item for item in value.values() if isinstance(item, _Unknown) and getattr(item, "modules", False)]
    if networks:
        return _unwrap(networks[0], keys)
    content = f"a dictionary with {listing(map(str, value))}" if value else "an empty dictionary"
    others = [f"'{key}' is a {type(item).__name__}" for key, item in value.items() if not isinstance(item, Tensor)]
    detail = f" ({others[0]})" if others and any(isinstance(item, Tensor) for item in value.values()) else ""
    raise NetworkError(f"{content}, not a state dict of plain tensors{detail}; {SAVE}")


def _is_state_dict(value: Any) -> bool:
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(key, str) and isinstance(item, Tensor) for key, item in value.items())


def _holds_one(value: Any) -> bool:
    return isinstance(value, Mapping) and any(_is_state_dict(value.get(key)) for key in (*WRAPPERS, *AVERAGES))


def listing(names: Iterable[str]) -> str:
    """Return the first names of several, and how many more there are."""
    first, more = [], 0
    for name in names:
        first, more = ([*first, name], more) if len(first) < MOST_KEYS else (first, more + 1)
    return ", ".join(first) + (f" and {more} more" if more else "")


def one_line(error: Exception) -> str:
    """Return the first line of an exception's message, without ANSI codes and torch's advice, or else its type."""
    text = _STYLE.sub("", str(error)).rpartition("WeightsUnpickler error: ")[2]
    lines = text.strip().splitlines()
    return next(islice(lines, 1), type(error).__name__).rstrip(".")
