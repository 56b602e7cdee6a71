"""Computations, leases, transitions and events in SQLite or Postgres: the only place that speaks SQL."""

from gristmill.store.guards import Fence, Guard, Version
from gristmill.store.interventions import Canceled, Operator
from gristmill.store.removal import BlobKeys, Purged
from gristmill.store.store import Store, open_store

__all__ = ["BlobKeys", "Canceled", "Fence", "Guard", "Operator", "Purged", "Store", "Version", "open_store"]
