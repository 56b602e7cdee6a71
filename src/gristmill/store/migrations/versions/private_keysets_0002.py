"""The private keyset of a computation to which data providers encrypt."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("computations", sa.Column("sealed_private_keyset", sa.LargeBinary(), nullable=True))
