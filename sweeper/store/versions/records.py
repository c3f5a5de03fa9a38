"""The versions that a store has kept: objects named by their digest, which never change."""

from datetime import datetime
from typing import NamedTuple

from sweeper.errors import StoreError, UnreadableFileError
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Objects
from sweeper.store.versions.version import StoreVersion, check_digest, read_version

_NAMED = 3  # the latest versions that a message names


class KeptVersion(NamedTuple):
    """The digest of a version that a store has kept, and since when."""

    digest: str
    at: datetime


class VersionRecords:
    """The kept versions of one store."""

    def __init__(self, objects: Objects):
        self.objects = objects

    def keep(self, version: StoreVersion) -> None:
        """Write the list of a version into the store, unless it has it.

        Raises:
            StoreError: It can't be written.
        """
        if version.digest not in {kept.digest for kept in self.list()}:
            self.objects.create(store_paths.version_list(version.digest), version.to_bytes())

    def list(self) -> list[KeptVersion]:
        """Return the kept versions, the oldest first."""
        kept = [
            KeptVersion(digest, info.modified)
            for info in self.objects.list(store_paths.VERSIONS)
            if (digest := store_paths.parse_version(info.path))
        ]
        return sorted(kept, key=lambda version: (version.at, version.digest))

    def find(self, digest: str) -> StoreVersion:
        """Return the version whose digest begins with given digits.

        Raises:
            StoreError: There is none, or there are several, or the list is damaged.
        """
        kept = self.list()
        digests = [version.digest for version in kept if version.digest.startswith(digest)]
        if len(digests) > 1:
            raise StoreError(f"several versions of {self.objects.url} begin with {digest}: {', '.join(digests)}")
        if not digests:
            raise StoreError(f"{self.objects.url} has no version {digest}; {_latest(kept)}")
        return self._read(digests[0])

    def _read(self, digest: str) -> StoreVersion:
        path = store_paths.version_list(digest)
        try:
            content = self.objects.read(path)
            check_digest(content, digest)
            return read_version(content)
        except (ValueError, UnreadableFileError) as error:
            raise StoreError(f"{self.objects.url}/{path} can't be read: {error}") from None


def _latest(kept: list[KeptVersion]) -> str:
    if not kept:
        return (
            "it has kept none yet; `sweeper tables` and `sweeper report` print the version that they show, and keep it"
        )
    latest = ", ".join(f"{version.digest} ({version.at:%Y-%m-%d %H:%M} UTC)" for version in kept[-_NAMED:][::-1])
    return f"it has kept {len(kept)}, the latest: {latest}"
