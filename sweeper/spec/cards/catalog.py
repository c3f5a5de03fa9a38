"""The cards that a job is planned with: the built-in ones, and those that the resolved job carries."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from sweeper.errors import NetworkError, SweeperError
from sweeper.spec.cards import archs
from sweeper.spec.cards.card import Cut, NetworkLayout, OptionValues, Shape, StitcherCard
from sweeper.spec.cards.options import complete
from sweeper.spec.cards.probed import Probed, is_external, measuring_command
from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.spec.cards.user_networks import UserNetwork, networks_by_name
from sweeper.spec.cards.user_stitchers import UserStitcher, recorded_card
from sweeper.spec.records.task import Options, TrainingRun

# The name of an external network in rows, its settings, the shape of an image, the number of outputs.
NetworkKey = tuple[str, Options, Shape, int]


class JobWithCards(Protocol):
    """The part of a resolved job that a catalog is made from."""

    @property
    def networks(self) -> tuple[Probed, ...]:
        """The cards of the job's external networks."""
        ...

    @property
    def user_networks(self) -> tuple[UserNetwork, ...]:
        """The networks in users' files, with their arguments."""
        ...

    @property
    def stitchers(self) -> tuple[UserStitcher, ...]:
        """The users' stitchers of the job, with the recorded answers of their cards."""
        ...


@dataclass(frozen=True, slots=True)
class Catalog:
    """The cards of networks and stitchers by name; a catalog without arguments holds the built-in ones alone.

    A catalog is a value: nothing is added to it, and no module of Sweeper holds one for a job.
    """

    external_networks: Mapping[NetworkKey, NetworkLayout] = field(default_factory=dict)
    user_stitchers: Mapping[str, StitcherCard] = field(default_factory=dict)  # by their names in recipes; no builders
    user_networks: Mapping[str, UserNetwork] = field(default_factory=dict)  # by their names in the job and in rows

    @classmethod
    def of(cls, job: JobWithCards) -> "Catalog":
        """Return the catalog of a job, as far as the job is resolved."""
        same_card: defaultdict[str, list[UserStitcher]] = defaultdict(list)  # a job may give one stitcher two names
        for stitcher in job.stitchers:
            same_card[stitcher.card].append(stitcher)
        user_stitchers = {name: recorded_card(stitchers) for name, stitchers in same_card.items()}
        user_networks = networks_by_name(job.user_networks)
        return cls(user_stitchers=user_stitchers, user_networks=user_networks).with_networks(job.networks)

    def with_networks(self, cards: Iterable[Probed]) -> "Catalog":
        """Return a catalog that also holds these cards of external networks."""
        added = {(card.name, card.options, tuple(card.shape), card.classes): card.network for card in cards}
        return replace(self, external_networks={**self.external_networks, **added})

    def has_network(self, arch: str, shape: Shape, classes: int, options: OptionValues | Options = ()) -> bool:
        """Return True if `network` can describe an architecture: it is built in, or external with a card here."""
        return arch in archs.ARCHS or self._key(arch, options, shape, classes) in self.external_networks

    def complete(self, arch: str, options: OptionValues | Options) -> Options:
        """Return every setting of an architecture, sorted, each in its type: the given values, and the defaults.

        Raises:
            SweeperError: A setting is unknown, missing or of another type.
        """
        if arch in self.user_networks:
            return self.user_networks[arch].complete(options)
        return complete(archs.options_of(arch), dict(options), arch)

    def _key(self, arch: str, options: OptionValues | Options, shape: Shape, classes: int) -> NetworkKey:
        network = self.user_networks.get(arch)
        if network:
            return network.card, network.complete(options), tuple(shape), classes
        return arch, tuple(sorted(dict(options).items())), tuple(shape), classes

    def network(self, arch: str, options: OptionValues | Options, shape: Shape, classes: int) -> NetworkLayout:
        """Return the costs and cuts of an architecture on images of `shape` (channels, height, width).

        Args:
            arch: A built-in architecture or an external network.
            options: A mapping or (name, value) pairs; an option that is left out takes its default.
            shape: The shape of an image.
            classes: The number of outputs.

        Raises:
            KeyError, ValueError: As `archs.checked_options` does.
            NetworkError: If the catalog has no card of an external network; the message names the command that
                measures it.
        """
        if not is_external(arch):
            return archs.network(arch, options, shape, classes)
        key = self._key(arch, options, shape, classes)
        if key not in self.external_networks:
            name = self.user_networks[arch].where if arch in self.user_networks else arch
            command = measuring_command(name, shape, classes, options=key[1])
            raise NetworkError(f"the cuts of {arch} are not known yet: `{command}` measures them")
        return self.external_networks[key]

    def network_of(self, run: TrainingRun) -> NetworkLayout:
        """Return the costs and cuts of a training run's network."""
        return self.network(run.arch, run.options, run.image, run.classes)

    def cuts_of(self, run: TrainingRun) -> tuple[Cut, ...]:
        """Return the cuts of a training run's network in order of depth, then its output."""
        network = self.network_of(run)
        return (*network.cuts, network.output(run.classes))

    def stitcher(self, name: str) -> StitcherCard:
        """Return the card of a recipe's stitcher; that of a user's stitcher has no builder.

        Raises:
            SweeperError: If there is no card of this name.
        """
        card = STITCHERS.get(name) or self.user_stitchers.get(name)
        if card is None:
            raise SweeperError(f"no stitcher '{name}'; available: {', '.join(STITCHERS)}")
        return card
