"""`gristmill duchy`: all services of a duchy in one process. Mills run beside it."""

from __future__ import annotations

import argparse

from gristmill.cli import duchy_flags, flags
from gristmill.cli.requisition_fulfillment import add_principals

SERVERS = {
    "internal-api": "internal API",
    "async-computation-control": "async control server",
    "computation-control": "computation control server",
    "requisition-fulfillment": "requisition fulfillment server",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    flags.add_tls(parser)
    flags.add_server(parser, with_port=False)
    parser.set_defaults(health_port=0)  # four duchies on one machine are more usual here than a probe
    duchy_flags.add_host(parser, "127.0.0.1")
    for name, what in SERVERS.items():
        parser.add_argument(f"--{name}-port", type=flags.port, default=0, help=f"port of the {what} (0: any free one)")
    flags.add_identity(parser)
    flags.add_kingdom_system_client(parser)
    flags.add_database(parser)
    flags.add_storage(parser)
    duchy_flags.add_key_encryption(parser, required=True)
    duchy_flags.add_herald(parser)
    add_principals(parser)
    flags.add_development(parser)
    flags.add_logging(parser)


def run(arguments: argparse.Namespace) -> int:
    import os

    from gristmill.duchy import process
    from gristmill.duchy.embedded import DuchySettings, Ports, serve_duchy
    from gristmill.errors import ConfigurationError

    tls, identity, logging = duchy_flags.tls_files(arguments), flags.identity(arguments), flags.logging(arguments)
    server = flags.server(arguments)
    if identity.info_file is None:
        raise ConfigurationError("--duchy-info-config is empty", cure="Give the duchy info file.")
    settings = DuchySettings(
        duchy=identity.duchy,
        tls=tls,
        info_file=identity.info_file,
        setup_file=arguments.protocols_setup_config,
        principals_file=arguments.authority_key_identifier_to_principal_map_file,
        kingdom=duchy_flags.target(flags.kingdom_system_client(arguments)),
        database=flags.database(arguments).url,
        sealer=duchy_flags.sealer(arguments),
        blobs=duchy_flags.blobs(arguments, tls),
        ports=Ports(
            arguments.internal_api_port,
            arguments.async_computation_control_port,
            arguments.computation_control_port,
            arguments.requisition_fulfillment_port,
        ),
        host=arguments.host,
        health_port=server.health_port or None,
        grace=server.shutdown_grace_period,
        require_client_certificate=server.require_client_auth,
        verbose=logging.verbose_server,
        verbose_client=logging.verbose_client,
        reference=os.environ.get("HOSTNAME", "herald"),
        deletable=duchy_flags.deletable(arguments),
    )
    service = serve_duchy(settings)
    return process.run(
        "duchy", service, level=logging.level, metrics_port=logging.metrics_port, failed=lambda duchy: duchy.herald
    )
