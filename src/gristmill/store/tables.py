"""The tables. Times are microseconds since the epoch; messages are serialized without their secret fields."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()


def _of_computation(*key: str) -> tuple[PrimaryKeyConstraint, ForeignKeyConstraint]:
    return (
        PrimaryKeyConstraint("computation", *key),
        ForeignKeyConstraint(["computation"], ["computations.id"], ondelete="CASCADE"),
    )


computations = Table(
    "computations",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("global_id", Text, nullable=False, unique=True),
    Column("type", Integer, nullable=False),
    Column("stage", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("owner", Text),
    # Null: not in the queue. Past: claimable. With an owner: until when the lease holds.
    Column("lease_expires", BigInteger),
    Column("lease_renewed", BigInteger),
    Column("progress", LargeBinary),
    Column("details", LargeBinary, nullable=False),
    Column("sealed_details", LargeBinary),
    Column("sealed_private_keyset", LargeBinary),
    # Destroyed when the computation ends, and with it all that was sealed under it.
    Column("wrapped_key", LargeBinary),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Index("computations_queue", "type", "lease_expires"),
)

requisitions = Table(
    "requisitions",
    metadata,
    Column("computation", BigInteger, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("details", LargeBinary, nullable=False),
    Column("sealed_details", LargeBinary),
    Column("path", Text, nullable=False, server_default=""),
    Column("length", BigInteger),
    Column("sha256", LargeBinary),
    *_of_computation("external_id", "fingerprint"),
    UniqueConstraint("external_id", "fingerprint"),
)

# One row per stage that was entered. How it was left is kept, so that a repeated transition is recognised.
stages = Table(
    "stages",
    metadata,
    Column("computation", BigInteger, nullable=False),
    Column("stage", Integer, nullable=False),
    Column("details", LargeBinary, nullable=False, server_default=""),
    Column("entered", BigInteger, nullable=False),
    Column("next_attempt", Integer, nullable=False),
    Column("departed", BigInteger),
    Column("departed_to", Integer),
    Column("departed_at_version", BigInteger),
    Column("departed_by_fence", BigInteger),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("workers_lost", Integer, nullable=False, server_default="0"),
    Column("out_of_memory", Integer, nullable=False, server_default="0"),
    Column("waiting_for_peer_since", BigInteger),
    *_of_computation("stage"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("computation", BigInteger, nullable=False),
    Column("stage", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("owner", Text, nullable=False),
    Column("began", BigInteger, nullable=False),
    Column("ended", BigInteger),
    # ComputationStageAttemptDetails.EndReason
    Column("reason", Integer),
    # Set if the attempt was put back, by the version that the caller had.
    Column("put_back_at_version", BigInteger),
    *_of_computation("stage", "attempt"),
)

blobs = Table(
    "blobs",
    metadata,
    Column("computation", BigInteger, nullable=False),
    Column("stage", Integer, nullable=False),
    Column("id", BigInteger, nullable=False),
    # ComputationBlobDependency
    Column("dependency", Integer, nullable=False),
    Column("path", Text, nullable=False, server_default=""),
    # Null where whoever recorded the blob could not say.
    Column("length", BigInteger),
    Column("sha256", LargeBinary),
    Column("reach", BigInteger),
    Column("randomness_commitment", LargeBinary),
    *_of_computation("stage", "id"),
)

facts = Table(
    "facts",
    metadata,
    Column("computation", BigInteger, nullable=False),
    Column("fact", Text, nullable=False),
    Column("recorded", BigInteger, nullable=False),
    *_of_computation("fact"),
)

slots = Table(
    "slots",
    metadata,
    Column("computation", BigInteger, nullable=False),
    Column("message", Integer, nullable=False),
    Column("sender", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("length", BigInteger),
    Column("sha256", LargeBinary),
    Column("filled", BigInteger, nullable=False),
    *_of_computation("message", "sender"),
)

stats = Table(
    "stats",
    metadata,
    Column("computation", BigInteger, nullable=False),
    Column("stage", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    *_of_computation("stage", "attempt", "name"),
)

# What happened, in order; never a secret.
events = Table(
    "events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("computation", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("stage", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("detail", Text, nullable=False),
    ForeignKeyConstraint(["computation"], ["computations.id"], ondelete="CASCADE"),
    Index("events_of_computation", "computation", "id"),
)

# One row: the position in the kingdom's stream of computations.
continuation = Table(
    "continuation",
    metadata,
    Column("presence", Integer, primary_key=True, autoincrement=False),
    Column("token", Text, nullable=False),
    Column("updated", BigInteger, nullable=False),
)
