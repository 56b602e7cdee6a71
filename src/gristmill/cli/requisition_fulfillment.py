"""`gristmill requisition-fulfillment`: the server that data providers hand their encrypted sketches to."""

from __future__ import annotations

import argparse

from gristmill.cli import duchy_flags, flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    flags.add_tls(parser)
    flags.add_server(parser)
    duchy_flags.add_host(parser, duchy_flags.EVERYWHERE)
    flags.add_identity(parser, info_required=False)
    flags.add_computations_client(parser)
    flags.add_kingdom_system_client(parser)
    flags.add_storage(parser)
    add_principals(parser)
    flags.add_development(parser)
    flags.add_logging(parser)


def add_principals(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--authority-key-identifier-to-principal-map-file",
        type=flags.file,
        required=True,
        metavar="FILE",
        help="AuthorityKeyToPrincipalMap as textproto: whose root is which data provider's",
    )


def run(arguments: argparse.Namespace) -> int:
    from gristmill.duchy import process
    from gristmill.duchy.servers import serve_fulfillment

    tls, identity, logging = duchy_flags.tls_files(arguments), flags.identity(arguments), flags.logging(arguments)
    service = serve_fulfillment(
        duchy_flags.listen(arguments),
        tls,
        duchy=identity.duchy,
        principals_file=arguments.authority_key_identifier_to_principal_map_file,
        internal_api=duchy_flags.target(flags.computations_client(arguments)),
        kingdom=duchy_flags.target(flags.kingdom_system_client(arguments)),
        blobs=duchy_flags.blobs(arguments, tls),
        info_file=identity.info_file,
    )
    return process.run("requisition-fulfillment", service, level=logging.level, metrics_port=logging.metrics_port)
