"""`--population`, which several commands take."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gristmill.edp.population import Population


def add_population(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--population",
        action="append",
        metavar="FIRST-LAST",
        help="all VIDs that there are, for share shuffle; repeat for further ranges. Text IDs are hashed into it",
    )


def population(arguments: argparse.Namespace) -> Population | None:
    """None if none is given. Raises ConfigurationError."""
    from gristmill.edp.population import Population

    return Population.parse(arguments.population) if arguments.population else None
