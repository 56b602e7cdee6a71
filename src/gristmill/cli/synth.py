"""`gristmill synth`: a synthetic population's events as files, with the exact answer beside them."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from gristmill.cli import flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make a file of events for each publisher (columns id, time, device) and exact.json with the exact reach and "
        "frequency. The same flags give the same files again."
    )
    parser.epilog = "exit codes: 0 made; 2 wrong usage, or a directory that cannot be used: nothing was written."
    parser.add_argument("directory", type=flags.path, metavar="DIR", help="new directory for the files")
    parser.add_argument("--people", type=flags.integer(1), default=10_000, metavar="N", help="exact reach (10000)")
    parser.add_argument("--publishers", type=flags.integer(1, 100), default=3, metavar="N", help="a file each (3)")
    parser.add_argument(
        "--overlap", type=float, default=0.3, metavar="P", help="a further publisher reaches a person with this (0.3)"
    )
    parser.add_argument(
        "--frequency",
        default="geometric:2",
        metavar="DISTRIBUTION",
        help="times per person and publisher: constant:N, uniform:LOW:HIGH, poisson:MEAN, geometric:MEAN (geometric:2)",
    )
    parser.add_argument("--seed", type=flags.integer(0), default=1, metavar="N", help="another one, other events (1)")
    parser.add_argument("--start", type=_day, default=_day("2024-01-01"), metavar="DAY", help="first day (2024-01-01)")
    parser.add_argument("--days", type=flags.integer(1, 36_500), default=28, metavar="N", help="how many (28)")
    parser.add_argument("--format", choices=("csv", "parquet"), default="csv", help="of the events (csv)")
    flags.add_boolean(parser, "--text-ids", default=False, help="IDs such as person-17 instead of 17 (false)")
    flags.add_boolean(parser, "--json", default=False, help="print what exact.json holds instead of a summary")


def run(arguments: argparse.Namespace) -> int:
    import json

    from gristmill.synth.files import EXACT, described, write
    from gristmill.synth.population import Population

    population = Population(
        people=arguments.people,
        publishers=arguments.publishers,
        overlap=arguments.overlap,
        frequency=arguments.frequency,
        seed=arguments.seed,
        start=arguments.start,
        days=arguments.days,
        text_ids=arguments.text_ids,
    )
    directory: Path = arguments.directory
    exact = write(population, directory, parquet=arguments.format == "parquet")
    if arguments.json:
        print(json.dumps(described(population, exact, arguments.format), indent=2))
        return 0
    print(f"{exact.events.total():,} events of {exact.reach:,} people. The exact answer: {directory / EXACT}")
    for name in population.names():
        reach, count = exact.reach_of[name], exact.events[name]
        print(f"  {directory / name}.{arguments.format}: {count:,} events of {reach:,} people")
    return 0


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day such as 2024-01-31") from None
