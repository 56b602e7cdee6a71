"""`gristmill mill llv2` and `gristmill mill hmss`: a worker, as a Job with a claimed item or as a daemon."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING

from gristmill.cli import duchy_flags, flags
from gristmill.errors import ConfigurationError, FileUnusable

if TYPE_CHECKING:
    from gristmill.blobs import BlobStore
    from gristmill.mill.connections import Connections
    from gristmill.mill.job import ShareShuffleServices
    from gristmill.mill.process import ClaimedItem, Mill
    from gristmill.trust.certificates import Roots
    from gristmill.trust.identity import Duchy

COMPUTATION_TYPES = {
    "LIQUID_LEGIONS_SKETCH_AGGREGATION_V2": 1,
    "REACH_ONLY_LIQUID_LEGIONS_SKETCH_AGGREGATION_V2": 2,
    "HONEST_MAJORITY_SHARE_SHUFFLE": 3,
    "TRUS_TEE": 4,
}
MILLS = {
    "llv2": ("LIQUID_LEGIONS_SKETCH_AGGREGATION_V2", "REACH_ONLY_LIQUID_LEGIONS_SKETCH_AGGREGATION_V2"),
    "hmss": ("HONEST_MAJORITY_SHARE_SHUFFLE",),
    "all": (
        "LIQUID_LEGIONS_SKETCH_AGGREGATION_V2",
        "REACH_ONLY_LIQUID_LEGIONS_SKETCH_AGGREGATION_V2",
        "HONEST_MAJORITY_SHARE_SHUFFLE",
    ),
}
"""By the command's argument: the computation types that one executable works on."""
SHUTDOWN_SECONDS = 25.0
"""From SIGTERM until the process ends at the latest, however its stage behaves."""
HANG_EXIT_CODE = 70


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "protocol",
        choices=tuple(MILLS),
        help="llv2: Liquid Legions v2, reach-only too; hmss: Honest Majority Share Shuffle; all: these",
    )
    flags.add_tls(parser)
    flags.add_identity(parser)
    flags.add_computations_client(parser)
    flags.add_kingdom_system_client(parser)
    flags.add_storage(parser)
    flags.add_logging(parser)
    flags.add_development(parser)
    duchy_flags.add_channel_shutdown(parser)
    _add_mill(parser)
    _add_claimed(parser)
    _add_patience(parser)
    _add_share_shuffle(parser)


def _add_mill(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("mill")
    group.add_argument("--mill-id", metavar="ID", help="lock owner and name in logs (the environment's HOSTNAME)")
    flags.add_map(
        group,
        "--duchy-computation-control-target",
        metavar="DUCHY=HOST:PORT",
        help="control server of each duchy; this duchy's own entry is ignored",
    )
    group.add_argument(
        "--work-lock-duration",
        type=flags.positive_duration,
        default=timedelta(minutes=5),
        help="lock of the mill's own claims where leases cannot be renewed (5m)",
    )
    group.add_argument(
        "--bytes-per-chunk",
        "--request-chunk-size-bytes",
        type=flags.integer(1, flags.LARGEST_CHUNK),
        default=1024 * 1024,
        metavar="N",
        help="payload of each message to a peer (1 MiB)",
    )
    group.add_argument("--parallelism", type=flags.integer(1, 1024), default=1, metavar="N", help="threads a stage (1)")
    group.add_argument("--consent-signaling-certificate-resource-name", required=True, metavar="NAME")
    group.add_argument("--consent-signaling-certificate-der-file", type=flags.file, required=True, metavar="FILE")
    group.add_argument("--consent-signaling-private-key-der-file", type=flags.file, required=True, metavar="FILE")


def _add_claimed(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to work on (all three, or --daemon)")
    group.add_argument("--claimed-computation-id", metavar="ID", help="global ID of the item claimed for this mill")
    group.add_argument("--claimed-computation-version", type=flags.integer(), metavar="N", help="its token's version")
    flags.add_enum(group, "--claimed-computation-type", COMPUTATION_TYPES, metavar="TYPE", help="its ComputationType")
    flags.add_boolean(group, "--daemon", default=False, help="poll for work for ever instead of ending when it is done")
    group.add_argument(
        "--polling-interval", type=flags.positive_duration, default=timedelta(seconds=2), help="of --daemon (2s)"
    )


def _add_patience(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("patience")
    group.add_argument(
        "--retry-window",
        type=flags.duration,
        default=timedelta(minutes=10),
        help="how long transient errors are retried in place (10m)",
    )
    group.add_argument(
        "--stall-timeout",
        type=flags.positive_duration,
        default=timedelta(minutes=10),
        help="a stage without progress for so long is given up (10m)",
    )
    group.add_argument(
        "--maximum-attempts",
        type=flags.integer(1),
        default=10,
        metavar="N",
        help="failures until the computation fails",
    )


def _add_share_shuffle(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("for share shuffle: the first two are required by hmss and all")
    group.add_argument(
        "--protocols-setup-config",
        type=flags.file,
        metavar="FILE",
        help="ProtocolsSetupConfig as textproto: this duchy's role and the other duchies'",
    )
    flags.add_kingdom_public_client(parser, required=False)
    duchy_flags.add_key_encryption(parser, required=False)


def run(arguments: argparse.Namespace) -> int:
    from gristmill.observe import logs, metrics
    from gristmill.trust.process import disable_core_dumps

    disable_core_dumps()
    logging = flags.logging(arguments)
    logs.configure(level=logging.level)
    item, computation_types = _work_to_do(arguments)
    with ExitStack() as stack:
        stack.enter_context(nullcontext() if logging.metrics_port is None else metrics.serve(logging.metrics_port))
        mill = _mill(arguments, computation_types, stack)
        return _run_until_stopped(mill, item, arguments.polling_interval if arguments.daemon else None)


def _work_to_do(arguments: argparse.Namespace) -> tuple[ClaimedItem | None, tuple[int, ...]]:
    """The claimed item, if any, and the computation types to claim: all that the mill can, unless one is given."""
    names = ("claimed_computation_id", "claimed_computation_version", "claimed_computation_type")
    given = [name for name in names if getattr(arguments, name) is not None]
    if len(given) < len(names) and not (arguments.daemon and set(given) <= {"claimed_computation_type"}):
        missing = ", ".join(f"--{name.replace('_', '-')}" for name in names if name not in given)
        raise ConfigurationError(f"{missing} must be given", cure="Give all three of the claimed item, or --daemon.")
    able = MILLS[arguments.protocol]
    asked = arguments.claimed_computation_type
    if asked is not None and asked not in able:
        raise ConfigurationError(
            f"the mill {arguments.protocol} cannot work on {asked}", cure=f"Let it claim {' or '.join(able)} only."
        )
    types = tuple(COMPUTATION_TYPES[name] for name in ([asked] if asked else able))
    if arguments.claimed_computation_id is None:
        return None, types
    from gristmill.mill.process import ClaimedItem

    return ClaimedItem(arguments.claimed_computation_id, arguments.claimed_computation_version), types


def _mill(arguments: argparse.Namespace, computation_types: tuple[int, ...], stack: ExitStack) -> Mill:
    """Everything read, checked and connected. ConfigurationError says what is missing."""
    from gristmill.mill.connections import Connections
    from gristmill.mill.internal_api import InternalApi
    from gristmill.mill.job import Services
    from gristmill.mill.kingdom import Kingdom
    from gristmill.mill.peers import Peers
    from gristmill.mill.process import Mill
    from gristmill.mill.runner import Patience, Runner
    from gristmill.trust.certificates import Roots
    from gristmill.trust.signatures import Signer

    mill_id = arguments.mill_id or os.environ.get("HOSTNAME", "")
    if not mill_id:
        raise ConfigurationError("the mill has no ID", cure="Give --mill-id, or set HOSTNAME.")
    files, duchy = duchy_flags.tls_files(arguments), flags.identity(arguments).duchy
    roots = Roots.read(files.collection_file, allow_development=files.allow_development)
    duchies = _duchies(arguments, roots)
    targets = _targets(arguments, duchies, duchy)
    signer = Signer.read(
        certificate=arguments.consent_signaling_certificate_der_file,
        key=arguments.consent_signaling_private_key_der_file,
    )
    verbose = flags.logging(arguments).verbose_client
    connections = Connections(stack, files=files, roots=roots, duchies=duchies, duchy=duchy, verbose=verbose)
    kingdom_target = duchy_flags.target(flags.kingdom_system_client(arguments))
    kingdom = Kingdom(connections.kingdom(kingdom_target), duchy, mill_id)
    peers = {name: connections.peer(name, address) for name, address in targets.items()}
    blobs, share_shuffle = duchy_flags.blobs(arguments, files), None
    if "HONEST_MAJORITY_SHARE_SHUFFLE" in MILLS[arguments.protocol]:
        share_shuffle = _share_shuffle(arguments, connections, roots, duchies, blobs)
    services = Services(
        duchy=duchy,
        blobs=blobs,
        kingdom=kingdom,
        peers=Peers(peers, duchy, arguments.bytes_per_chunk),
        signer=signer,
        certificate=arguments.consent_signaling_certificate_resource_name,
        duchies=duchies,
        threads=arguments.parallelism,
        share_shuffle=share_shuffle,
    )
    client = flags.computations_client(arguments)
    api, renewals = (
        InternalApi(connections.internal_api(duchy_flags.target(client)), mill_id, client.deadline) for _ in range(2)
    )
    patience = Patience(arguments.retry_window, arguments.stall_timeout, arguments.maximum_attempts)
    runner = Runner(services, renewals, patience, on_hang=lambda: os._exit(HANG_EXIT_CODE))
    return Mill(api, runner, kingdom, computation_types=computation_types, lock_duration=arguments.work_lock_duration)


def _share_shuffle(
    arguments: argparse.Namespace,
    connections: Connections,
    roots: Roots,
    duchies: Mapping[str, Duchy],
    blobs: BlobStore,
) -> ShareShuffleServices:
    """What only share shuffle needs. ConfigurationError says what is missing."""
    from gristmill.mill.certificates import Certificates
    from gristmill.mill.job import ShareShuffleServices
    from gristmill.mill.private_keys import PrivateKeys
    from gristmill.protocols.setup import read_setup
    from gristmill.trust.key_encryption import KeyEncryption

    file, key_file = arguments.protocols_setup_config, arguments.key_encryption_key_file
    for name in ("protocols_setup_config", "kingdom_public_api_target"):
        if getattr(arguments, name) is None:
            flag = f"--{name.replace('_', '-')}"
            raise ConfigurationError(f"{flag} must be given", cure=f"`gristmill mill {arguments.protocol}` needs it.")
    kingdom = duchy_flags.target(flags.kingdom_public_client(arguments))
    setup = read_setup(file, arguments.duchy_name)
    if not setup.HasField("honest_majority_share_shuffle"):
        raise FileUnusable(f"{file} has no honest_majority_share_shuffle", cure="Give this duchy a role in it.")
    return ShareShuffleServices(
        aggregator=setup.honest_majority_share_shuffle.aggregator_duchy_id,
        certificates=Certificates(connections.kingdom(kingdom), roots, [duchy.root for duchy in duchies.values()]),
        private_keys=PrivateKeys(blobs, KeyEncryption.read(key_file) if key_file else None),
    )


def _duchies(arguments: argparse.Namespace, roots: Roots) -> Mapping[str, Duchy]:
    """The duchies of the info file, of which this is one."""
    from gristmill.trust.identity import read_duchies

    identity = flags.identity(arguments)
    if identity.info_file is None:
        raise ConfigurationError("--duchy-info-config must be given")
    duchies = read_duchies(identity.info_file, roots)
    if identity.duchy not in duchies:
        raise FileUnusable(
            f"duchy {identity.duchy} is not in {identity.info_file}", cure="Give this duchy an entry, too."
        )
    return duchies


def _targets(arguments: argparse.Namespace, duchies: Mapping[str, Duchy], own: str) -> Mapping[str, str]:
    """The control server of every other duchy of the info file."""
    name = "--duchy-computation-control-target"
    given = flags.mapping(name, arguments.duchy_computation_control_target)
    missing = [duchy for duchy in duchies if duchy != own and duchy not in given]
    if missing:
        raise ConfigurationError(
            f"{name} has no entry for {', '.join(missing)}", cure="Give one for every duchy of the duchy info file."
        )
    try:
        return {duchy: flags.target(given[duchy]) for duchy in duchies if duchy != own}
    except argparse.ArgumentTypeError as error:
        raise ConfigurationError(f"{name}: {error}") from None


def _run_until_stopped(mill: Mill, item: ClaimedItem | None, polling: timedelta | None) -> int:
    """Run the mill in a thread of its own: a native call would keep the main thread from hearing SIGTERM."""
    failures: list[BaseException] = []
    stopping = threading.Event()

    def work() -> None:
        try:
            if item is not None:
                mill.work_claimed(item)
            if polling is None:
                mill.drain()
            else:
                mill.poll(polling)
        except BaseException as error:
            failures.append(error)

    def stop(*_: object) -> None:
        stopping.set()
        # In a thread of its own, because the interrupted code may hold the locks that this needs.
        threading.Thread(target=mill.stop, name="stop", daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    worker = threading.Thread(target=work, name="mill", daemon=True)
    worker.start()
    while worker.is_alive() and not stopping.is_set():
        worker.join(0.2)
    worker.join(SHUTDOWN_SECONDS)
    if worker.is_alive():
        print("gristmill: the stage did not end in time", file=sys.stderr, flush=True)
        os._exit(1)
    if failures:
        raise failures[0]
    return 0
