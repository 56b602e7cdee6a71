"""Names of blobs: relative paths with plain parts, nothing that could lead out of the store."""

from __future__ import annotations

from gristmill.errors import InvalidRequest

LONGEST_KEY = 1024


def check_key(key: str) -> str:
    """The key itself. InvalidRequest when it is absolute, has empty parts or parts that begin with a dot."""
    parts = key.split("/")
    if not key or len(key) > LONGEST_KEY or not key.isprintable() or "\\" in key:
        raise InvalidRequest(f"{key[:80]!r} is no blob key: 1 to {LONGEST_KEY} printable characters are allowed")
    if any(not part or part.startswith(".") for part in parts):
        raise InvalidRequest(f"{key[:80]!r} is no blob key: no part may be empty or begin with a dot")
    return key


def computation_key(path: str) -> str:
    """Key of a stage's blob from the path that the database records."""
    return check_key(f"computations/{path}")


def requisition_key(path: str) -> str:
    """Key of a requisition's data from the path that the database records."""
    return check_key(f"requisitions/{path}")


def private_key_key(key_id: str) -> str:
    """Key of an encrypted private keyset from its ID."""
    return check_key(f"tink-private-key/{key_id}")
