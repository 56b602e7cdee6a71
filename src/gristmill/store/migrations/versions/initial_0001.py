"""The first tables. Secret columns (sealed_details) have been sealed from here on."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "computations",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("global_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Integer(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_expires", sa.BigInteger(), nullable=True),
        sa.Column("lease_renewed", sa.BigInteger(), nullable=True),
        sa.Column("progress", sa.LargeBinary(), nullable=True),
        sa.Column("details", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_details", sa.LargeBinary(), nullable=True),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("global_id"),
    )
    op.create_index("computations_queue", "computations", ["type", "lease_expires"], unique=False)
    op.create_table(
        "continuation",
        sa.Column("presence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("presence"),
    )
    op.create_table(
        "attempts",
        sa.Column("computation", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("began", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Integer(), nullable=True),
        sa.Column("put_back_at_version", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["computation"], ["computations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("computation", "stage", "attempt"),
    )
    op.create_table(
        "blobs",
        sa.Column("computation", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("dependency", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), server_default="", nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=True),
        sa.Column("reach", sa.BigInteger(), nullable=True),
        sa.Column("randomness_commitment", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["computation"], ["computations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("computation", "stage", "id"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("computation", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["computation"], ["computations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("events_of_computation", "events", ["computation", "id"], unique=False)
    op.create_table(
        "facts",
        sa.Column("computation", sa.BigInteger(), nullable=False),
        sa.Column("fact", sa.Text(), nullable=False),
        sa.Column("recorded", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["computation"], ["computations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("computation", "fact"),
    )
    op.create_table(
        "requisitions",
        sa.Column("computation", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("details", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_details", sa.LargeBinary(), nullable=True),
        sa.Column("path", sa.Text(), server_default="", nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["computation"], ["computations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("computation", "external_id", "fingerprint"),
        sa.UniqueConstraint("external_id", "fingerprint"),
    )
    op.create_table(
        "slots",
        sa.Column("computation", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.Integer(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=True),
        sa.Column("filled", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["computation"], ["computations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("computation", "message", "sender"),
    )
    op.create_table(
        "stages",
        sa.Column("computation", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("details", sa.LargeBinary(), server_default="", nullable=False),
        sa.Column("entered", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt", sa.Integer(), nullable=False),
        sa.Column("departed", sa.BigInteger(), nullable=True),
        sa.Column("departed_to", sa.Integer(), nullable=True),
        sa.Column("departed_at_version", sa.BigInteger(), nullable=True),
        sa.Column("departed_by_fence", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("workers_lost", sa.Integer(), server_default="0", nullable=False),
        sa.Column("out_of_memory", sa.Integer(), server_default="0", nullable=False),
        sa.Column("waiting_for_peer_since", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["computation"], ["computations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("computation", "stage"),
    )
    op.create_table(
        "stats",
        sa.Column("computation", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["computation"], ["computations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("computation", "stage", "attempt", "name"),
    )
