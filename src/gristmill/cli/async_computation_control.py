"""`gristmill async-computation-control`: fills slots and moves waiting computations on."""

from __future__ import annotations

import argparse

from gristmill.cli import duchy_flags, flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    flags.add_tls(parser)
    flags.add_server(parser)
    duchy_flags.add_host(parser, duchy_flags.EVERYWHERE)
    flags.add_identity(parser)
    flags.add_computations_client(parser)
    parser.add_argument(
        "--max-advance-attempts",
        type=flags.integer(1),
        default=2**31 - 1,
        metavar="N",
        help="tries of one advance while others write (no limit but the caller's deadline)",
    )
    flags.add_development(parser)
    flags.add_logging(parser)


def run(arguments: argparse.Namespace) -> int:
    from gristmill.duchy import process
    from gristmill.duchy.servers import serve_async_control

    logging = flags.logging(arguments)
    service = serve_async_control(
        duchy_flags.listen(arguments),
        duchy_flags.tls_files(arguments),
        duchy=flags.identity(arguments).duchy,
        internal_api=duchy_flags.target(flags.computations_client(arguments)),
        maximum_attempts=arguments.max_advance_attempts,
    )
    return process.run("async-computation-control", service, level=logging.level, metrics_port=logging.metrics_port)
