"""`gristmill herald`: follows the kingdom and starts its computations at this duchy."""

from __future__ import annotations

import argparse

from gristmill.cli import duchy_flags, flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    flags.add_tls(parser)
    flags.add_identity(parser, info_required=False)
    flags.add_computations_client(parser)
    flags.add_kingdom_system_client(parser)
    duchy_flags.add_herald(parser)
    duchy_flags.add_key_encryption(parser, required=False)
    flags.add_storage(parser)
    duchy_flags.add_channel_shutdown(parser)
    flags.add_development(parser)
    flags.add_logging(parser)


def run(arguments: argparse.Namespace) -> int:
    import os
    import signal
    from contextlib import nullcontext

    from gristmill.duchy.herald_channels import open_herald, read_setup
    from gristmill.errors import ConfigurationError
    from gristmill.observe import logs, metrics
    from gristmill.trust.process import disable_core_dumps

    identity, logging = flags.identity(arguments), flags.logging(arguments)
    logs.configure(level=logging.level)
    disable_core_dumps()
    with (
        nullcontext() if logging.metrics_port is None else metrics.serve(logging.metrics_port),
        open_herald(
            duchy_flags.tls_files(arguments),
            duchy=identity.duchy,
            setup=read_setup(arguments.protocols_setup_config, identity.duchy),
            internal_api=duchy_flags.target(flags.computations_client(arguments)),
            kingdom=duchy_flags.target(flags.kingdom_system_client(arguments)),
            info_file=identity.info_file,
            reference=os.environ.get("HOSTNAME", "herald"),
            deletable=duchy_flags.deletable(arguments),
            verbose=logging.verbose_client,
        ) as herald,
    ):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: herald.stop())
        try:
            herald.run()
        except ConfigurationError as error:
            # It came up and was then refused: a failure (1), not wrong usage (2).
            logs.logger("herald").error("giving up", reason=str(error))
            return 1
    return 0
