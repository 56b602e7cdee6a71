"""What an operator of a duchy may see of its computations, asked of its internal API."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import grpc

from gristmill.consortium.wiring import HOST
from gristmill.errors import Unavailable
from gristmill.proto.duchy.inspection_pb2 import (
    ComputationSummary,
    Event,
    ListComputationsRequest,
    ListEventsRequest,
)
from gristmill.proto.duchy.inspection_pb2_grpc import InspectionStub
from gristmill.trust.certificates import read_certificate
from gristmill.trust.channels import Target, channel, client_credentials
from gristmill.trust.development import Party


class Inspection:
    """A connection to one duchy's internal API, with the duchy's own certificate. A context."""

    def __init__(self, duchy: Party, port: int) -> None:
        self.duchy = duchy.name
        credentials = client_credentials([read_certificate(duchy.root_file)], duchy.tls)
        self._channel = channel(Target(f"{HOST}:{port}", duchy.cert_host, timeout_seconds=10), credentials)
        self._stub = InspectionStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def computations(self) -> list[ComputationSummary]:
        """All computations, oldest first (one page: a consortium on one machine has few)."""
        try:
            return list(self._stub.ListComputations(ListComputationsRequest(page_size=1000)).computations)
        except grpc.RpcError as error:
            raise self._unavailable(error) from None

    def events(self, global_computation_id: str) -> list[Event]:
        """What happened to a computation, in order."""
        try:
            return list(self._stub.ListEvents(ListEventsRequest(global_computation_id=global_computation_id)).events)
        except grpc.RpcError as error:
            raise self._unavailable(error) from None

    def _unavailable(self, error: grpc.RpcError) -> Unavailable:
        return Unavailable(f"the internal API of {self.duchy} answered {error.code().name}: {error.details()}")
