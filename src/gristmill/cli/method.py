"""How people are counted: `--protocol`, `--population` and the flags of sketches, which several commands take."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from gristmill.cli import flags

if TYPE_CHECKING:
    from gristmill.edp.population import Population
    from gristmill.measure.method import Method

METHOD = ("protocol", "population", "decay_rate", "sketch_size", "sampling_indicator_size")


def add_method(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("protocol")
    group.add_argument(
        "--protocol",
        choices=("llv2", "hmss"),
        default="llv2",
        help="Liquid Legions V2, or Honest Majority Share Shuffle, of three duchies, two of them honest (llv2)",
    )
    add_population(group, default="1-10000000")
    group = parser.add_argument_group("sketch, of llv2")
    group.add_argument("--decay-rate", type=float, default=12.0, metavar="A", help="of the register probabilities (12)")
    group.add_argument("--sketch-size", type=flags.integer(), default=100_000, metavar="N", help="registers (100000)")
    group.add_argument(
        "--sampling-indicator-size",
        type=flags.integer(),
        default=10_000_000,
        metavar="N",
        help="number of keys that tell people in one register apart (10000000)",
    )


def method(arguments: argparse.Namespace) -> Method:
    """Raises ConfigurationError for what does not fit together or is out of range."""
    from gristmill.errors import ConfigurationError
    from gristmill.measure.method import Shares, Sketch

    sketch = Sketch(arguments.decay_rate, arguments.sketch_size, arguments.sampling_indicator_size)
    given = population(arguments)
    if arguments.protocol == "hmss":
        if sketch != Sketch():
            raise ConfigurationError("share shuffle has no sketch", cure="Leave out the flags of the sketch.")
        return Shares() if given is None else Shares(given)
    if given is not None:
        raise ConfigurationError("--population is of --protocol=hmss", cure="Leave it out, or give that protocol.")
    return sketch


def add_population(group: argparse._ArgumentGroup, *, default: str = "") -> None:
    group.add_argument(
        "--population",
        action="append",
        metavar="FIRST-LAST",
        help="all VIDs that there are, of hmss; repeat for more ranges; text IDs are hashed into them"
        + (f" ({default})" if default else ""),
    )


def population(arguments: argparse.Namespace) -> Population | None:
    """None if none is given. Raises ConfigurationError."""
    from gristmill.edp.population import Population

    return Population.parse(arguments.population) if arguments.population else None
