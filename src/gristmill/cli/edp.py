"""`gristmill edp`: a data provider that fulfils requisitions from a file of events."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.cli import flags
from gristmill.cli.method import add_population, population

if TYPE_CHECKING:
    from gristmill.edp.keys import DataProviderKeys
    from gristmill.trust.channels import Target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    flags.add_tls(parser)
    flags.add_development(parser)
    _add_identity(parser)
    _add_events(parser)
    flags.add_kingdom_public_client(parser)
    group = parser.add_argument_group("duchies to deliver to")
    flags.add_map(
        group,
        "--requisition-fulfillment-target",
        metavar="DUCHY=HOST:PORT",
        help="where a duchy takes data; repeat it. The first is delivered to where the protocol leaves the choice",
    )
    flags.add_map(
        group,
        "--requisition-fulfillment-cert-host",
        metavar="DUCHY=NAME",
        help="name expected in its certificate (the duchy info file's)",
    )
    group = parser.add_argument_group("work")
    group.add_argument("--polling-interval", type=flags.positive_duration, default=timedelta(seconds=1), help="(1s)")
    group.add_argument("--parallelism", type=flags.integer(1), default=1, metavar="N", help="threads to encrypt (1)")
    group.add_argument(
        "--spool-directory",
        type=flags.path,
        metavar="DIR",
        help="where sketches and shares wait to be sent (the system's place for temporary files)",
    )
    flags.add_boolean(
        group, "--allow-no-noise", default=False, help="take part also where share shuffle adds no noise (false)"
    )
    flags.add_boolean(group, "--once", default=False, help="end when a requisition has been answered (false)")
    flags.add_logging(parser)


def _add_identity(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data provider")
    group.add_argument("--data-provider", required=True, metavar="NAME", help="resource name, dataProviders/{id}")
    group.add_argument(
        "--private-keyset-file",
        type=flags.file,
        required=True,
        metavar="FILE",
        help="Tink keyset that requisition specifications are decrypted with",
    )
    group.add_argument("--consent-signaling-certificate-resource-name", required=True, metavar="NAME")
    group.add_argument("--consent-signaling-certificate-der-file", type=flags.file, required=True, metavar="FILE")
    group.add_argument("--consent-signaling-private-key-der-file", type=flags.file, required=True, metavar="FILE")
    group.add_argument(
        "--duchy-info-config",
        type=flags.file,
        required=True,
        metavar="FILE",
        help="DuchyCertConfig as textproto: every duchy's ID, host and root certificate",
    )
    group.add_argument(
        "--authority-key-identifier-to-principal-map-file",
        type=flags.file,
        required=True,
        metavar="FILE",
        help="AuthorityKeyToPrincipalMap as textproto: the measurement consumers' roots",
    )


def _add_events(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("events")
    group.add_argument(
        "--events-file",
        type=flags.path,
        required=True,
        metavar="FILE",
        help="CSV with a header line (.gz, .xz) or Parquet",
    )
    group.add_argument("--id-column", default="id", metavar="COLUMN", help="whose event it is (id)")
    flags.add_boolean(group, "--integer-ids", default=False, help="refuse text IDs instead of hashing them (false)")
    flags.add_map(group, "--where", metavar="COLUMN=VALUE", help="only rows with this value; repeat for more columns")
    group.add_argument("--time-column", metavar="COLUMN", help="when it was, ISO 8601; without a zone: UTC")
    add_population(group)
    group.add_argument("--start", type=_time, metavar="TIME", help="only events from this time on")
    group.add_argument("--end", type=_time, metavar="TIME", help="only events before this time")


def run(arguments: argparse.Namespace) -> int:
    import os
    import re
    import signal
    import tempfile
    from contextlib import nullcontext

    from gristmill.edp.daemon import DataProvider, Settings
    from gristmill.edp.events import EventFile, Events, microseconds
    from gristmill.errors import ConfigurationError, FileUnusable
    from gristmill.observe import logs, metrics
    from gristmill.trust.channels import Target
    from gristmill.trust.process import disable_core_dumps

    disable_core_dumps()
    logging = flags.logging(arguments)
    logs.configure(level=logging.level)
    if (arguments.start or arguments.end) and not arguments.time_column:
        raise ConfigurationError("--start and --end need --time-column", cure="Name the column that has the times.")
    if arguments.start and arguments.end and microseconds(arguments.start) >= microseconds(arguments.end):
        raise ConfigurationError("--start must be before --end", cure="--end itself is no longer part of the period.")
    if not re.fullmatch(r"dataProviders/[^/]+", arguments.data_provider):
        raise ConfigurationError(
            f"--data-provider is {arguments.data_provider!r}, and not of the form dataProviders/ID",
            cure="Give the resource name that the kingdom knows.",
        )
    spool = arguments.spool_directory or Path(tempfile.gettempdir())
    if not (spool.is_dir() and os.access(spool, os.W_OK | os.X_OK)):
        raise FileUnusable(
            f"{spool} of --spool-directory is no directory that this user may write in",
            cure="Make it, or give another.",
        )
    keys, cert_hosts = _keys(arguments)
    targets = _targets(arguments, cert_hosts)
    kingdom = flags.kingdom_public_client(arguments)
    everybody = population(arguments)
    events = Events.read(
        EventFile(
            arguments.events_file,
            arguments.id_column,
            flags.mapping("--where", arguments.where),
            arguments.time_column,
            arguments.start,
            arguments.end,
            arguments.integer_ids,
            everybody,
        )
    )
    settings = Settings(
        kingdom=Target(kingdom.target, kingdom.cert_host or ""),
        fulfillment=targets,
        spool=spool,
        population=everybody,
        polling_seconds=arguments.polling_interval.total_seconds(),
        threads=arguments.parallelism,
        without_noise=arguments.allow_no_noise,
        verbose=logging.verbose_client,
    )
    provider = DataProvider(keys, settings, events)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: provider.stop())
    with nullcontext() if logging.metrics_port is None else metrics.serve(logging.metrics_port):
        try:
            logs.logger("edp").info("polling", data_provider=keys.name, kingdom=kingdom.target, duchies=[*targets])
            provider.run(once=arguments.once)
        finally:
            provider.close()
    return 0


def _targets(arguments: argparse.Namespace, cert_hosts: Mapping[str, str]) -> dict[str, Target]:
    """Where each duchy takes data, in the order of the flags."""
    from gristmill.errors import ConfigurationError
    from gristmill.trust.channels import Target

    name = "--requisition-fulfillment-target"
    given = flags.mapping(name, arguments.requisition_fulfillment_target)
    names = flags.mapping("--requisition-fulfillment-cert-host", arguments.requisition_fulfillment_cert_host)
    if not given:
        raise ConfigurationError(f"no {name} is given", cure="Give DUCHY=HOST:PORT of a duchy that takes data.")
    for duchy in (*given, *names):
        if duchy not in cert_hosts:
            raise ConfigurationError(f"the duchy info file has no duchy {duchy}", cure="Check the two flags.")
    try:
        return {
            duchy: Target(flags.target(address), names.get(duchy, cert_hosts[duchy]))
            for duchy, address in given.items()
        }
    except argparse.ArgumentTypeError as error:
        raise ConfigurationError(f"{name}: {error}", cure="Give DUCHY=HOST:PORT.") from None


def _keys(arguments: argparse.Namespace) -> tuple[DataProviderKeys, dict[str, str]]:
    """The data provider's keys, and the name in each duchy's certificate."""
    from gristmill.edp.keys import DataProviderKeys
    from gristmill.trust.certificates import Roots
    from gristmill.trust.files import TlsFiles
    from gristmill.trust.hybrid import PrivateKeyset
    from gristmill.trust.identity import principal_parties, read_duchies
    from gristmill.trust.signatures import Signer

    tls = flags.tls(arguments)
    allow = arguments.allow_development_certificates
    roots = Roots.read(tls.collection_file, allow_development=allow)
    duchies = read_duchies(arguments.duchy_info_config, roots)
    principals = principal_parties(arguments.authority_key_identifier_to_principal_map_file, roots)
    duchy_roots = {name: duchy.root for name, duchy in duchies.items()}
    keys = DataProviderKeys(
        name=arguments.data_provider,
        certificate=arguments.consent_signaling_certificate_resource_name,
        signer=Signer.read(
            certificate=arguments.consent_signaling_certificate_der_file,
            key=arguments.consent_signaling_private_key_der_file,
        ),
        keyset=PrivateKeyset.read(arguments.private_keyset_file),
        tls=TlsFiles(tls.certificate_file, tls.key_file, tls.collection_file, allow),
        kingdom_roots=tuple(roots.without([*duchy_roots.values(), *principals.roots])),
        duchy_roots=duchy_roots,
        consumer_roots=principals.roots_of("measurementConsumers/"),
    )
    return keys, {name: duchy.cert_host for name, duchy in duchies.items()}


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an ISO 8601 time") from None
