"""Cards of one network in a user's file at several settings, measured in one process.

`python -m` with this module's name reads a list of `UserNetworkSettings` as JSON from stdin and puts a card for each
into the cache folder. It prints an error and returns 2 if a network can't be used. What the user's code prints goes to
stderr.
"""

import sys

from pydantic import TypeAdapter

from sweeper.errors import SweeperError
from sweeper.spec.cards.probed import Probed, UserNetworkSettings, cache_card
from sweeper.spec.user_code.processes import print_to_stderr, report_mistake
from sweeper.trials.networks.traced.check_cuts import check_cuts
from sweeper.trials.networks.traced.construct import make

_ADAPTER = TypeAdapter(list[UserNetworkSettings])


def main() -> int:
    """Measure the cards of the networks on stdin, whose code is trusted."""
    print_to_stderr()
    try:
        for settings in _ADAPTER.validate_json(sys.stdin.buffer.read()):
            network = make(settings.where, settings.shape, settings.classes, trust=True, options=settings.options)
            layout = check_cuts(network, settings.shape, settings.classes).card
            cache_card(
                Probed(settings.name, settings.shape, settings.classes, layout, settings.options), settings.code_digest
            )
    except (SweeperError, OSError) as error:
        report_mistake(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
