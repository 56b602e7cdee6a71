"""`gristmill kingdom`: the development kingdom, all of its APIs on one port."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from gristmill.cli import flags

if TYPE_CHECKING:
    from gristmill.kingdom.share_shuffle import ShareShuffleParameters

_LARGEST_DECAY = 700
"""Beyond it the smallest register probability leaves the range of double precision."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    flags.add_tls(parser)
    flags.add_development(parser)
    group = parser.add_argument_group("kingdom")
    group.add_argument("--port", "-p", type=flags.port, default=8443, help="listening port (8443; 0: any free one)")
    group.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="listening address (127.0.0.1)")
    group.add_argument(
        "--consortium-directory",
        type=flags.path,
        required=True,
        metavar="DIR",
        help="directory made by `gristmill keys make`: who takes part, with which certificates",
    )
    group.add_argument(
        "--sqlite-database", type=flags.path, required=True, metavar="FILE", help="database file; created when missing"
    )
    _add_parameters(parser)
    _add_share_shuffle(parser)
    flags.add_logging(parser)


def _add_parameters(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("Liquid Legions V2")
    group.add_argument("--llv2-decay-rate", type=_decay_rate, default=12.0, metavar="A", help="of the sketches (12)")
    group.add_argument(
        "--llv2-max-size", type=flags.integer(2), default=100_000, metavar="N", help="registers of a sketch (100000)"
    )
    group.add_argument(
        "--llv2-sampling-indicator-size",
        type=flags.integer(2),
        default=10_000_000,
        metavar="N",
        help="number of register keys (10000000)",
    )
    flags.add_enum(
        group,
        "--llv2-noise-mechanism",
        ("GEOMETRIC", "DISCRETE_GAUSSIAN"),
        default="DISCRETE_GAUSSIAN",
        help="of all noise (DISCRETE_GAUSSIAN)",
    )
    flags.add_boolean(
        group,
        "--enable-ro-llv2-protocol",
        default=False,
        help="carry reach alone out by the reach-only protocol, which is cheaper, with the same parameters (false)",
    )
    for name, what in (("blind-histogram", "blind-histogram"), ("publisher", "publisher")):
        for parameter in ("epsilon", "delta"):
            group.add_argument(
                f"--llv2-{name}-noise-{parameter}",
                type=_positive,
                default=1.0,
                metavar="X",
                help=f"{parameter} of the {what} noise (1)",
            )


def _add_share_shuffle(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("Honest Majority Share Shuffle")
    flags.add_boolean(group, "--enable-hmss", default=False, help="carry every measurement out by it (false)")
    for name in ("reach-and-frequency", "reach"):
        group.add_argument(
            f"--hmss-{name}-ring-modulus", type=flags.integer(2), default=127, metavar="Q", help="of the shares (127)"
        )
    flags.add_enum(
        group,
        "--hmss-noise-mechanism",
        ("NONE", "GEOMETRIC", "DISCRETE_GAUSSIAN"),
        default="DISCRETE_GAUSSIAN",
        help="of all noise (DISCRETE_GAUSSIAN)",
    )


def run(arguments: argparse.Namespace) -> int:
    import asyncio

    from gristmill.kingdom.noise import NoiseMechanism
    from gristmill.kingdom.protocol import LiquidLegionsParameters, Privacy
    from gristmill.kingdom.server import KingdomSettings
    from gristmill.observe import logs
    from gristmill.trust.files import TlsFiles
    from gristmill.trust.process import disable_core_dumps

    disable_core_dumps()
    logging, tls = flags.logging(arguments), flags.tls(arguments)
    logs.configure(level=logging.level)
    parameters = LiquidLegionsParameters(
        decay_rate=arguments.llv2_decay_rate,
        max_size=arguments.llv2_max_size,
        sampling_indicator_size=arguments.llv2_sampling_indicator_size,
        noise_mechanism=NoiseMechanism(arguments.llv2_noise_mechanism),
        blind_histogram_noise=Privacy(
            arguments.llv2_blind_histogram_noise_epsilon, arguments.llv2_blind_histogram_noise_delta
        ),
        publisher_noise=Privacy(arguments.llv2_publisher_noise_epsilon, arguments.llv2_publisher_noise_delta),
        reach_only=arguments.enable_ro_llv2_protocol,
    )
    shares = _share_shuffle(arguments)
    settings = KingdomSettings(
        tls=TlsFiles(tls.certificate_file, tls.key_file, tls.collection_file, arguments.allow_development_certificates),
        consortium=arguments.consortium_directory,
        database=arguments.sqlite_database,
        parameters=parameters,
        shares=shares if arguments.enable_hmss else None,
        verbose=logging.verbose_server,
    )
    return asyncio.run(_serve(settings, arguments.host, arguments.port, logging.metrics_port))


def _share_shuffle(arguments: argparse.Namespace) -> ShareShuffleParameters:
    from gristmill.errors import ConfigurationError
    from gristmill.kingdom.noise import NoiseMechanism
    from gristmill.kingdom.share_shuffle import ShareShuffleParameters

    mechanism = arguments.hmss_noise_mechanism
    try:
        return ShareShuffleParameters(
            arguments.hmss_reach_and_frequency_ring_modulus,
            arguments.hmss_reach_ring_modulus,
            None if mechanism == "NONE" else NoiseMechanism(mechanism),
        )
    except ValueError as error:
        raise ConfigurationError(str(error), cure="127 is usual, for both.") from None


async def _serve(settings: object, host: str, port: int, metrics_port: int | None) -> int:
    import asyncio
    import signal
    from contextlib import nullcontext

    from gristmill.kingdom.server import KingdomSettings, serve
    from gristmill.observe import metrics
    from gristmill.observe.logs import logger

    assert isinstance(settings, KingdomSettings)  # noqa: S101  # the type is not named above, to keep imports lazy
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with nullcontext() if metrics_port is None else metrics.serve(metrics_port):
        async with serve(settings, host=host, port=port) as kingdom:
            logger("kingdom").info("listening", host=host, port=kingdom.port)
            await stop.wait()
    return 0


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _decay_rate(text: str) -> float:
    value = _positive(text)
    if not 1 < value < _LARGEST_DECAY:
        raise argparse.ArgumentTypeError(f"{text} is not more than 1 and less than {_LARGEST_DECAY}")
    return value
