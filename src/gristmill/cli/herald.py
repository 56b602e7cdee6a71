"""`gristmill herald`: follows the kingdom and starts its computations at this duchy."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from gristmill.cli import duchy_flags, flags

if TYPE_CHECKING:
    from gristmill.duchy.key_pairs import KeyBlobs
    from gristmill.trust.files import TlsFiles


def add_arguments(parser: argparse.ArgumentParser) -> None:
    flags.add_tls(parser)
    flags.add_identity(parser, info_required=False)
    flags.add_computations_client(parser)
    flags.add_kingdom_system_client(parser)
    duchy_flags.add_herald(parser)
    duchy_flags.add_key_encryption(parser, required=False)
    flags.add_boolean(
        parser,
        "--private-keys-in-blob-storage",
        default=False,
        help="keep share shuffle's private keys there, for existing mills, and not in the database (false)",
    )
    flags.add_storage(parser)
    duchy_flags.add_channel_shutdown(parser)
    flags.add_development(parser)
    flags.add_logging(parser)


def run(arguments: argparse.Namespace) -> int:
    import os
    import signal
    from contextlib import nullcontext

    from gristmill.duchy.herald_channels import open_herald
    from gristmill.errors import ConfigurationError
    from gristmill.observe import logs, metrics
    from gristmill.protocols.setup import read_setup
    from gristmill.trust.process import disable_core_dumps

    identity, logging = flags.identity(arguments), flags.logging(arguments)
    tls = duchy_flags.tls_files(arguments)
    logs.configure(level=logging.level)
    disable_core_dumps()
    with (
        nullcontext() if logging.metrics_port is None else metrics.serve(logging.metrics_port),
        open_herald(
            tls,
            duchy=identity.duchy,
            setup=read_setup(arguments.protocols_setup_config, identity.duchy),
            internal_api=duchy_flags.target(flags.computations_client(arguments)),
            kingdom=duchy_flags.target(flags.kingdom_system_client(arguments)),
            info_file=identity.info_file,
            reference=os.environ.get("HOSTNAME", "herald"),
            deletable=duchy_flags.deletable(arguments),
            key_blobs=_key_blobs(arguments, tls),
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


def _key_blobs(arguments: argparse.Namespace, tls: TlsFiles) -> KeyBlobs | None:
    """Where private keys go if the database may not have them; None if the flags name no place."""
    from gristmill.duchy.key_pairs import KeyBlobs
    from gristmill.errors import ConfigurationError
    from gristmill.trust.key_encryption import KeyEncryption

    always: bool = arguments.private_keys_in_blob_storage
    placed = arguments.file_system_storage_directory or arguments.forwarded_storage_service_target
    if arguments.key_encryption_key_file is None or not placed:
        if always:
            raise ConfigurationError(
                "--private-keys-in-blob-storage needs a keyset and a place",
                cure="Give --key-encryption-key-file and the flags of a blob storage, too.",
            )
        return None
    key_encryption = KeyEncryption.read(arguments.key_encryption_key_file)
    return KeyBlobs(duchy_flags.blobs(arguments, tls), key_encryption, always)
