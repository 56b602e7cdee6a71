"""What an action is given: the claimed stage, this duchy's seat, the files, and whom it may call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf.message import DecodeError

from gristmill.errors import BadInput
from gristmill.protocols import derive, registry
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec

if TYPE_CHECKING:
    from gristmill.blobs import BlobStore
    from gristmill.mill.activity import Activity
    from gristmill.mill.certificates import Certificates
    from gristmill.mill.claims import Claim
    from gristmill.mill.kingdom import Kingdom
    from gristmill.mill.peers import Peers
    from gristmill.mill.private_keys import PrivateKeys
    from gristmill.protocols.table import Seat, Stage, Work
    from gristmill.trust.identity import Duchy
    from gristmill.trust.signatures import Signer
    from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
    from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken, RequisitionMetadata


@dataclass(frozen=True, slots=True)
class ShareShuffleServices:
    """What only the stages of share shuffle use."""

    aggregator: str
    """From the protocols setup: a worker's computation does not name it."""
    certificates: Certificates
    private_keys: PrivateKeys


@dataclass(frozen=True, slots=True)
class Services:
    """Everything outside a stage that a mill uses, the same for all stages."""

    duchy: str
    blobs: BlobStore
    kingdom: Kingdom
    peers: Peers
    signer: Signer
    certificate: str
    """The signer's certificate at the kingdom, `duchies/{duchy}/certificates/{id}`."""
    duchies: Mapping[str, Duchy]
    threads: int
    share_shuffle: ShareShuffleServices | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed work row. `inputs` and `requisitions` are verified files, in the order of the token."""

    claim: Claim
    seat: Seat
    row: Work
    services: Services
    inputs: tuple[Path, ...] = ()
    requisitions: tuple[Path, ...] = ()

    @property
    def stage(self) -> Stage:
        return self.row.stage

    @property
    def activity(self) -> Activity:
        return self.claim.activity

    @property
    def own_requisitions(self) -> list[RequisitionMetadata]:
        """Those that were fulfilled at this duchy."""
        mine = self.services.duchy
        return [each for each in self.token.requisitions if each.details.external_fulfilling_duchy_id == mine]

    def senders(self) -> dict[Path, str]:
        """For messages: what each of the files is, and who is answerable for it."""
        blobs = [blob for blob in derive.blobs(self.seat, self.stage) if blob.dependency is derive.Dependency.INPUT]
        received = [_sent(blob.content) for blob in blobs]
        fulfilled = [f"the data of requisition {_id(each)}" for each in self.own_requisitions]
        return dict(zip((*self.inputs, *self.requisitions), (*received, *fulfilled), strict=False))

    @property
    def token(self) -> ComputationToken:
        """As the last write left it."""
        return self.claim.token

    @property
    def details(self) -> Any:
        """The protocol's own part of the computation's details."""
        return registry.part(self.token.computation_details)

    @property
    def protocol_member(self) -> str:
        """What the protocol is called in the wire's messages."""
        return registry.member(self.token.computation_details)

    def measurement_spec(self) -> MeasurementSpec:
        """The measurement consumer's specification. BadInput when it is none."""
        try:
            return MeasurementSpec.FromString(self.token.computation_details.kingdom_computation.measurement_spec)
        except DecodeError:
            raise BadInput("the measurement specification of the computation is no MeasurementSpec") from None


def _sent(content: derive.Slot | Stage) -> str:
    if isinstance(content, derive.Slot):
        return f"the {content.message.name} of {content.sender.duchy}"
    return f"this duchy's output of {content.name}"


def _id(requisition: RequisitionMetadata) -> str:
    return requisition.external_key.external_requisition_id


@dataclass(frozen=True, slots=True)
class Found:
    """What a computing action finds out besides its output file."""

    reach: int | None = None
    commitment: bytes = b""
    """To the seed of the setup phase's generator."""


Act = Callable[[Job], None]
"""An action without output: what it does can be repeated."""
Compute = Callable[[Job, Path], Found]
"""An action that makes the file at the given path, which does not exist yet, from the job's files."""
MakeResult = Callable[[Job, Path, int | None], "Measurement.Result"]
"""From the last stage's kept output, and the reach that was found, to what the measurement consumer gets."""


class Actions(NamedTuple):
    """What a mill does for one protocol, by the names in its tables."""

    acts: Mapping[str, Act]
    """Of rows that deliver nothing."""
    computes: Mapping[str, Compute]
    """Of rows that make an output and deliver it."""
    result: MakeResult
    find_reach: frozenset[str] = frozenset()
    """Those of the computing ones whose reach is kept beside the output."""
