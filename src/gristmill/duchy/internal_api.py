"""The internal API server: the wire-compatible services and our extensions, over the store.

The only process that opens the duchy's database. It accepts certificates under this duchy's own root only, because its
messages carry secrets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.duchy.computations import Computations, ComputationStats, ContinuationTokens
from gristmill.duchy.credentials import kingdom_credentials, own_root
from gristmill.duchy.interventions import Interventions
from gristmill.duchy.kingdom_log import KingdomLog
from gristmill.duchy.leases import Inspection, Leases, Orchestration, Slots
from gristmill.duchy.listening import Listen, listening
from gristmill.duchy.private_keys import PrivateKeys
from gristmill.proto.duchy import (
    inspection_pb2_grpc,
    interventions_pb2_grpc,
    leases_pb2_grpc,
    orchestration_pb2_grpc,
    private_keys_pb2_grpc,
)
from gristmill.store import open_store
from gristmill.trust.channels import Target, aio_channel
from wfa.measurement.internal.duchy import (
    computation_stats_service_pb2_grpc,
    computations_service_pb2_grpc,
    continuation_tokens_service_pb2_grpc,
)
from wfa.measurement.system.v1alpha import (
    computation_log_entries_service_pb2_grpc,
    computation_participants_service_pb2_grpc,
)

if TYPE_CHECKING:
    from gristmill.blobs import BlobStore
    from gristmill.secret import Secret
    from gristmill.store.sealing import SealsColumns
    from gristmill.trust.files import TlsFiles


@asynccontextmanager
async def serve_internal_api(
    where: Listen,
    tls: TlsFiles,
    *,
    duchy: str,
    database: Secret,
    sealer: SealsColumns,
    kingdom: Target | None = None,
    info_file: Path | None = None,
    blobs: BlobStore | None = None,
) -> AsyncIterator[int]:
    """Computations, ComputationStats, ContinuationTokens and our extensions, over the store.

    Args:
        database: a SQLAlchemy URL.
        kingdom: where log entries go, and what operators cancel is told; None tells it nothing.
        info_file: if given, the duchies' roots are not believed to be the kingdom's.
        blobs: where the objects of deleted computations are removed.
    """
    async with open_store(database.expose().decode(), sealer, duchy) as store:
        kingdom_channel = aio_channel(kingdom, kingdom_credentials(tls, info_file)) if kingdom else None
        kingdom_log = participants = None
        if kingdom_channel:
            stub = computation_log_entries_service_pb2_grpc.ComputationLogEntriesStub(kingdom_channel)
            kingdom_log = KingdomLog(duchy, stub)
            participants = computation_participants_service_pb2_grpc.ComputationParticipantsStub(kingdom_channel)
        wire = computations_service_pb2_grpc
        register = [
            partial(wire.add_ComputationsServicer_to_server, Computations(store, kingdom_log, blobs)),
            partial(computation_stats_service_pb2_grpc.add_ComputationStatsServicer_to_server, ComputationStats(store)),
            partial(
                continuation_tokens_service_pb2_grpc.add_ContinuationTokensServicer_to_server, ContinuationTokens(store)
            ),
            partial(leases_pb2_grpc.add_LeasesServicer_to_server, Leases(store)),
            partial(orchestration_pb2_grpc.add_OrchestrationServicer_to_server, Orchestration(store)),
            partial(orchestration_pb2_grpc.add_SlotsServicer_to_server, Slots(store)),
            partial(private_keys_pb2_grpc.add_PrivateKeysServicer_to_server, PrivateKeys(store)),
            partial(inspection_pb2_grpc.add_InspectionServicer_to_server, Inspection(store)),
            partial(interventions_pb2_grpc.add_InterventionsServicer_to_server, Interventions(store, participants)),
        ]
        try:
            async with listening(where, tls, [own_root(tls)], register) as port:
                yield port
        finally:
            if kingdom_log and kingdom_channel:
                await kingdom_log.close()
                await kingdom_channel.close()
