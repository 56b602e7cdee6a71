"""How Alembic reaches the database: through the connection, inside the transaction, that `migrate` opened."""

from alembic import context

from gristmill.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, version_table="store_revision")
with context.begin_transaction():
    context.run_migrations()
