"""A herald with its channels, ready to run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from gristmill.duchy.credentials import kingdom_credentials, own_credentials
from gristmill.duchy.hearing import TERMINAL, Hearing, Services
from gristmill.duchy.herald import Herald, pause
from gristmill.duchy.key_pairs import Creator, KeyBlobs
from gristmill.errors import ConfigurationError
from gristmill.proto.duchy.orchestration_pb2_grpc import OrchestrationStub
from gristmill.proto.duchy.private_keys_pb2_grpc import PrivateKeysStub
from gristmill.trust.channels import Target, channel
from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsStub
from wfa.measurement.internal.duchy.continuation_tokens_service_pb2_grpc import ContinuationTokensStub
from wfa.measurement.system.v1alpha.computation_participants_service_pb2_grpc import ComputationParticipantsStub
from wfa.measurement.system.v1alpha.computations_service_pb2_grpc import ComputationsStub as KingdomComputationsStub

if TYPE_CHECKING:
    from gristmill.trust.files import TlsFiles
    from wfa.measurement.internal.duchy.config.protocols_setup_config_pb2 import ProtocolsSetupConfig


@contextmanager
def open_herald(
    tls: TlsFiles,
    *,
    duchy: str,
    setup: ProtocolsSetupConfig,
    internal_api: Target,
    kingdom: Target,
    info_file: Path | None = None,
    reference: str = "herald",
    deletable: frozenset[int] = frozenset(),
    key_blobs: KeyBlobs | None = None,
    verbose: bool = False,
) -> Iterator[Herald]:
    """A herald whose channels are closed at the end.

    Args:
        reference: its name in reports to the kingdom.
        deletable: Computation.State values on which the local computation is deleted; terminal ones only.
        key_blobs: where private keys go if the internal API keeps none.
        verbose: log every call.
    """
    if not deletable <= TERMINAL:
        raise ConfigurationError(
            "a computation that has not ended cannot be deleted",
            cure="Give terminal states: SUCCEEDED, FAILED, CANCELLED.",
        )
    stopping = threading.Event()
    with (
        channel(internal_api, own_credentials(tls)) as internal_channel,
        channel(kingdom, kingdom_credentials(tls, info_file)) as plain_kingdom_channel,
    ):
        logged = _logged if verbose else _as_it_is
        internal, kingdom_channel = logged(internal_channel), logged(plain_kingdom_channel)
        services = Services(
            ComputationsStub(internal),
            OrchestrationStub(internal),
            ComputationParticipantsStub(kingdom_channel),
            Creator(ComputationsStub(internal), PrivateKeysStub(internal), key_blobs),
            partial(pause, stopping),
        )
        hearing = Hearing(duchy, reference, setup, services, deletable)
        yield Herald(KingdomComputationsStub(kingdom_channel), ContinuationTokensStub(internal), hearing, stopping)


def _as_it_is(opened: grpc.Channel) -> grpc.Channel:
    return opened


def _logged(opened: grpc.Channel) -> grpc.Channel:
    from gristmill.observe.calls import LoggedClient

    return grpc.intercept_channel(opened, LoggedClient())
