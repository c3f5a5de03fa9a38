"""A version of a store: the list of the original parts whose rows were read, and what else decides which rows show.

A list of original parts stays true when parts are compacted, because compacted parts name their original parts, and
when more parts come. If a model has rows with different weights, its view shows those that the store holds, so a
version also lists those that it lacked.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from sweeper.errors import PartsMissingError
from sweeper.spec.records import ident
from sweeper.store.parts.compacted import digests_in
from sweeper.store.parts.verify import VerifiedPart, by_kind

DIGITS = 16  # of the digest of a version, as in the names of parts
_FORMAT = 1


@dataclass(frozen=True)
class StoreVersion:
    """A version of a store.

    Args:
        parts: The digests of the original parts, by kind; a kind without parts is left out.
        lost_weights: The digests of the weights that the store lacked, of models that have rows with other weights,
            too.
    """

    parts: Mapping[str, frozenset[str]]
    lost_weights: frozenset[str] = frozenset()

    @cached_property
    def digest(self) -> str:
        """The digest that names this version. Equal lists have equal digests, in whatever files their rows are."""
        return digest_of(self.to_bytes())

    def to_bytes(self) -> bytes:
        """Return this version as JSON; equal versions give equal bytes."""
        parts = {kind: sorted(digests) for kind, digests in self.parts.items()}
        content = {"format": _FORMAT, "parts": parts, "lost_weights": sorted(self.lost_weights)}
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def digest_of(content: bytes) -> str:
    """Return the digest of a version that is given as JSON."""
    return ident.digest(content)[:DIGITS]


def check_digest(content: bytes, digest: str) -> None:
    """Check that a version that is given as JSON has a digest.

    Raises:
        ValueError: It has another one.
    """
    if digest_of(content) != digest:
        raise ValueError("its content has another digest than its name")


def read_version(content: bytes) -> StoreVersion:
    """Return the version that is given as JSON.

    Raises:
        ValueError: It is none, or is one of a later format.
    """
    try:
        values = json.loads(content)
        if values["format"] != _FORMAT:
            raise ValueError(f"it has format {values['format']}, and this version of Sweeper reads {_FORMAT}")
        parts = {str(kind): frozenset(map(str, digests)) for kind, digests in values["parts"].items()}
        return StoreVersion(parts, frozenset(map(str, values["lost_weights"])))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"it is no list of parts: {error!r}") from None


def original_parts(parts: Iterable[VerifiedPart]) -> dict[str, frozenset[str]]:
    """Return the digests of the original parts that are read from parts, by kind."""
    digests_by_kind: dict[str, set[str]] = {}
    for part in parts:
        digests_by_kind.setdefault(part.name.kind, set()).update(digests_in(part) - part.hidden)
    return {kind: frozenset(digests) for kind, digests in digests_by_kind.items()}


def parts_of_version(parts: Collection[VerifiedPart], version: StoreVersion) -> list[VerifiedPart]:
    """Return the parts from which the rows of a version are read; the rows of others in them are hidden.

    Args:
        parts: The parts from which the rows of the store are read now.
        version: The version.

    Raises:
        PartsMissingError: Rows of the version are in none of the parts.
    """
    present = original_parts(parts)
    missing = [
        f"{kind} {digest}"
        for kind, digests in version.parts.items()
        for digest in sorted(digests - present.get(kind, frozenset()))
    ]
    if missing:
        raise PartsMissingError(missing)
    restricted = [
        part._replace(hidden=part.hidden | (digests_in(part) - digests))
        for kind, digests in version.parts.items()
        for part in by_kind(parts, kind)
    ]
    return [part for part in restricted if not digests_in(part) <= part.hidden]
