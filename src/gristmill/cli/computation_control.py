"""`gristmill computation-control`: the server that the peers' mills send to."""

from __future__ import annotations

import argparse

from gristmill.cli import duchy_flags, flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    flags.add_tls(parser)
    flags.add_server(parser)
    duchy_flags.add_host(parser, duchy_flags.EVERYWHERE)
    flags.add_identity(parser)
    flags.add_computations_client(parser)
    flags.add_async_client(parser)
    flags.add_storage(parser)
    flags.add_development(parser)
    flags.add_logging(parser)


def run(arguments: argparse.Namespace) -> int:
    from gristmill.duchy import process
    from gristmill.duchy.servers import serve_control
    from gristmill.errors import ConfigurationError

    tls, identity, logging = duchy_flags.tls_files(arguments), flags.identity(arguments), flags.logging(arguments)
    if identity.info_file is None:
        raise ConfigurationError("--duchy-info-config is empty", cure="Give the duchy info file.")
    service = serve_control(
        duchy_flags.listen(arguments),
        tls,
        duchy=identity.duchy,
        info_file=identity.info_file,
        internal_api=duchy_flags.target(flags.computations_client(arguments)),
        async_control=duchy_flags.target(flags.async_client(arguments)),
        blobs=duchy_flags.blobs(arguments, tls),
    )
    return process.run("computation-control", service, level=logging.level, metrics_port=logging.metrics_port)
