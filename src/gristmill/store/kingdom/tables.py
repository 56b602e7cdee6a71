"""The development kingdom's tables. States are numbers of the wire's enumerations, times microseconds since the epoch.

What never changes after creation is kept as the serialized message it arrived in; what changes has a column.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

clock = Table(
    "kingdom_clock",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("last", BigInteger, nullable=False),
)
"""One row: the last time that was given to a change, so that every later one is greater (`Transaction.tick`)."""

certificates = Table(
    "kingdom_certificates",
    metadata,
    Column("name", Text, primary_key=True),
    Column("parent", Text, nullable=False, index=True),
    Column("x509_der", LargeBinary, nullable=False),
    Column("subject_key_identifier", LargeBinary, nullable=False),
    Column("revocation_state", Integer, nullable=False),
)

measurements = Table(
    "kingdom_measurements",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("consumer", Text, nullable=False),
    Column("request_id", Text),
    Column("consumer_certificate", Text, nullable=False),
    Column("request", LargeBinary, nullable=False),  # v2alpha Measurement as it was submitted
    Column("public_config", LargeBinary, nullable=False),  # v2alpha ProtocolConfig
    Column("system_config", LargeBinary, nullable=False),  # system Computation.MpcProtocolConfig
    Column("state", Integer, nullable=False),  # system Computation.State
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("failure_reason", Integer, nullable=False, default=0),  # v2alpha Measurement.Failure.Reason
    Column("failure_message", Text, nullable=False, default=""),
    Column("aggregator_certificate", Text),
    Column("result_public_key", LargeBinary),
    Column("encrypted_result", LargeBinary),
    UniqueConstraint("consumer", "request_id"),
    Index("kingdom_measurements_by_update", "updated", "id"),
)

participants = Table(
    "kingdom_participants",
    metadata,
    Column("measurement", BigInteger, ForeignKey("kingdom_measurements.id"), primary_key=True),
    Column("duchy", Text, primary_key=True),
    Column("state", Integer, nullable=False),  # system ComputationParticipant.State
    Column("updated", BigInteger, nullable=False),
    Column("certificate", Text),
    Column("requisition_params", LargeBinary),  # system ComputationParticipant.RequisitionParams
    Column("failure", LargeBinary),  # system ComputationParticipant.Failure
)

requisitions = Table(
    "kingdom_requisitions",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("measurement", BigInteger, ForeignKey("kingdom_measurements.id"), nullable=False, index=True),
    Column("data_provider", Text, nullable=False),
    Column("data_provider_certificate", Text, nullable=False),
    Column("entry", LargeBinary, nullable=False),  # v2alpha Measurement.DataProviderEntry.Value
    Column("state", Integer, nullable=False),  # v2alpha Requisition.State
    Column("updated", BigInteger, nullable=False),
    Column("nonce", LargeBinary),  # 8 bytes, big-endian; fixed64 does not fit a signed column
    Column("fulfilling_duchy", Text),
    Column("refusal", LargeBinary),  # v2alpha Requisition.Refusal
    Column("fulfillment_context", LargeBinary),  # system Requisition.FulfillmentContext
    Index("kingdom_requisitions_by_provider", "data_provider", "updated", "id"),
)

log_entries = Table(
    "kingdom_log_entries",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("measurement", BigInteger, nullable=False),
    Column("duchy", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("entry", LargeBinary, nullable=False),  # system ComputationLogEntry
    Index("kingdom_log_entries_by_participant", "measurement", "duchy", "created"),
)
