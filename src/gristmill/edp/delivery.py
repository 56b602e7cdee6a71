"""Handing a sketch or a share to a duchy: a header, then the file in chunks (public API, section 2)."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gristmill.edp.requisition import Accepted
from gristmill.errors import Unavailable
from wfa.measurement.api.v2alpha.requisition_fulfillment_service_pb2 import (
    FulfillRequisitionRequest,
    FulfillRequisitionResponse,
)
from wfa.measurement.api.v2alpha.requisition_fulfillment_service_pb2_grpc import RequisitionFulfillmentStub

CHUNK_BYTES = 1024 * 1024
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Content:
    """What a requisition is fulfilled with: the body, and for share shuffle what the header says of it."""

    file: Path
    shares: FulfillRequisitionRequest.Header.HonestMajorityShareShuffle | None = None


def deliver(
    stub: RequisitionFulfillmentStub,
    accepted: Accepted,
    content: Content,
    *,
    etag: str,
    stall_seconds: float = 60,
    on_progress: Callable[[int, int], None] | None = None,
) -> FulfillRequisitionResponse:
    """Stream the file; raises grpc.RpcError, or Unavailable when nothing has moved for `stall_seconds`.

    There is no deadline for the whole: a large file over a slow line may take its time, as long as it moves. Length
    and hash travel as metadata, which a duchy of another make ignores.
    """
    total, sent = content.file.stat().st_size, 0

    def requests() -> Iterator[FulfillRequisitionRequest]:
        nonlocal sent
        yield FulfillRequisitionRequest(
            header=FulfillRequisitionRequest.Header(
                name=accepted.requisition.name,
                requisition_fingerprint=accepted.fingerprint,
                nonce=accepted.nonce,
                protocol_config=accepted.requisition.protocol_config,
                etag=etag,
                honest_majority_share_shuffle=content.shares,
            )
        )
        with content.file.open("rb") as body:
            # An empty sketch is still one chunk: a stream that ends after its header may be taken for a broken one.
            chunk = body.read(CHUNK_BYTES)
            while chunk or not sent:
                yield FulfillRequisitionRequest(body_chunk=FulfillRequisitionRequest.BodyChunk(data=chunk))
                sent += len(chunk)
                if not chunk:
                    return
                chunk = body.read(CHUNK_BYTES)

    metadata = (("gristmill-length", str(total)), ("gristmill-sha256", _sha256(content.file)))
    call = stub.FulfillRequisition.future(requests(), metadata=metadata)
    answered = threading.Event()
    call.add_done_callback(lambda _: answered.set())
    moved, last = time.monotonic(), 0
    while not answered.wait(_POLL_SECONDS):
        if sent != last:
            moved, last = time.monotonic(), sent
            if on_progress is not None:
                on_progress(sent, total)
        elif time.monotonic() - moved > stall_seconds:
            call.cancel()
            raise Unavailable(f"the duchy took no data of {accepted.requisition.name} for {stall_seconds:g} seconds")
    response: FulfillRequisitionResponse = call.result()
    return response


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
