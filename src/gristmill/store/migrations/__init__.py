"""Alembic scripts; see gristmill.store.migrate."""
