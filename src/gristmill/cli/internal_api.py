"""`gristmill internal-api`: the internal API server, the only process that opens the duchy's database."""

from __future__ import annotations

import argparse

from gristmill.cli import duchy_flags, flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    flags.add_tls(parser)
    flags.add_server(parser)
    duchy_flags.add_host(parser, duchy_flags.EVERYWHERE)
    flags.add_identity(parser, info_required=False)
    flags.add_kingdom_system_client(parser)
    flags.add_database(parser)
    flags.add_storage(parser)
    duchy_flags.add_key_encryption(parser, required=True)
    duchy_flags.add_channel_shutdown(parser)
    parser.add_argument(
        "--default-service-config", metavar="FILE", help="accepted; log entries are sent to the kingdom once, for 5 s"
    )
    flags.add_development(parser)
    flags.add_logging(parser)


def run(arguments: argparse.Namespace) -> int:
    from gristmill.duchy import process
    from gristmill.duchy.internal_api import serve_internal_api

    tls, identity, logging = duchy_flags.tls_files(arguments), flags.identity(arguments), flags.logging(arguments)
    service = serve_internal_api(
        duchy_flags.listen(arguments),
        tls,
        duchy=identity.duchy,
        database=flags.database(arguments).url,
        sealer=duchy_flags.sealer(arguments),
        kingdom=duchy_flags.target(flags.kingdom_system_client(arguments)),
        info_file=identity.info_file,
        blobs=duchy_flags.blobs(arguments, tls),
    )
    return process.run("internal-api", service, level=logging.level, metrics_port=logging.metrics_port)
