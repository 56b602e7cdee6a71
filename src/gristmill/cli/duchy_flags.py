"""Flags that the commands of a duchy's services share, and what they are read into."""

from __future__ import annotations

import argparse
from datetime import timedelta
from typing import TYPE_CHECKING

from gristmill.cli import flags

if TYPE_CHECKING:
    from gristmill.blobs import BlobStore
    from gristmill.duchy.listening import Listen
    from gristmill.store.sealing import SealsColumns
    from gristmill.trust.channels import Target
    from gristmill.trust.files import TlsFiles

EVERYWHERE = "0.0.0.0"  # noqa: S104  # what a container needs; mutual TLS decides who gets in


def add_host(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("--host", default=default, metavar="ADDRESS", help=f"listening address ({default})")


def add_channel_shutdown(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--channel-shutdown-timeout",
        type=flags.duration,
        default=timedelta(seconds=3),
        help="accepted; channels close without waiting",
    )


def add_key_encryption(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--key-encryption-key-file",
        type=flags.file,
        required=required,
        metavar="FILE",
        help="binary Tink keyset under which secrets are sealed (`gristmill keys make` makes one)",
    )


def add_herald(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--protocols-setup-config",
        type=flags.file,
        required=True,
        metavar="FILE",
        help="ProtocolsSetupConfig as textproto: this duchy's role in each protocol",
    )
    flags.add_enum(
        parser,
        "--deletable-computation-state",
        ("SUCCEEDED", "FAILED", "CANCELLED"),
        action="append",
        default=[],
        help="delete the local computation when the kingdom says this; repeat for more",
    )


def deletable(arguments: argparse.Namespace) -> frozenset[int]:
    from wfa.measurement.system.v1alpha.computation_pb2 import Computation

    return frozenset(Computation.State.Value(name) for name in arguments.deletable_computation_state)


def tls_files(arguments: argparse.Namespace) -> TlsFiles:
    """The TLS files, after every configuration file of the flags was read once: errors come before anything is made."""
    from gristmill.duchy.credentials import own_credentials
    from gristmill.protocols.setup import read_setup
    from gristmill.trust.certificates import Roots
    from gristmill.trust.files import TlsFiles
    from gristmill.trust.identity import principal_parties, require_duchy

    tls, given = flags.tls(arguments), vars(arguments)
    files = TlsFiles(tls.certificate_file, tls.key_file, tls.collection_file, arguments.allow_development_certificates)
    own_credentials(files)
    if "duchy_name" in given:
        identity = flags.identity(arguments)
        if identity.info_file:
            require_duchy(identity.info_file, identity.duchy)
    if principals := given.get("authority_key_identifier_to_principal_map_file"):
        principal_parties(principals, Roots.read(files.collection_file, allow_development=files.allow_development))
    if setup := given.get("protocols_setup_config"):
        read_setup(setup, arguments.duchy_name)
    return files


def listen(arguments: argparse.Namespace) -> Listen:
    from gristmill.duchy.listening import Drain, Listen

    server, logging = flags.server(arguments), flags.logging(arguments)
    return Listen(
        port=server.port or 0,
        host=arguments.host,
        health_port=server.health_port,
        drain=Drain(server.shutdown_grace_period.total_seconds()),
        require_client_certificate=server.require_client_auth,
        verbose=logging.verbose_server,
    )


def target(client: flags.ClientFlags) -> Target:
    from gristmill.trust.channels import Target

    return Target(client.target, client.cert_host or "", client.deadline.total_seconds())


def blobs(arguments: argparse.Namespace, tls: TlsFiles) -> BlobStore:
    """The blob store that the flags choose. The forwarded kind shows a certificate and asks for none."""
    import grpc

    from gristmill.blobs import open_blobs
    from gristmill.trust.certificates import Roots
    from gristmill.trust.channels import Target, channel, client_credentials

    def connect(address: str, cert_host: str | None) -> grpc.Channel:
        roots = Roots.read(tls.collection_file, allow_development=tls.allow_development)
        return channel(Target(address, cert_host or ""), client_credentials(list(roots), None))

    return open_blobs(flags.storage(arguments), connect)


def sealer(arguments: argparse.Namespace) -> SealsColumns:
    from gristmill.trust.sealing import Sealer

    return Sealer.read(arguments.key_encryption_key_file)
