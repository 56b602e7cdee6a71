"""Blobs: what stages and data providers hand over, as files with a length and a SHA-256.

Three key spaces share one store. The database records the part after the prefix.

    computations/{path}        inputs and outputs of stages
    requisitions/{path}        what data providers sent
    tink-private-key/{id}      private keysets, encrypted

Everything here is synchronous; servers on an event loop call it through `asyncio.to_thread`.
"""

from gristmill.blobs.digest import Digest, digest_of
from gristmill.blobs.forwarded import ForwardedBlobs
from gristmill.blobs.keys import check_key, computation_key, private_key_key, requisition_key
from gristmill.blobs.local import LocalBlobs
from gristmill.blobs.store import BlobStore, BlobWriter, StorageChoice, open_blobs

__all__ = [
    "BlobStore",
    "BlobWriter",
    "Digest",
    "ForwardedBlobs",
    "LocalBlobs",
    "StorageChoice",
    "check_key",
    "computation_key",
    "digest_of",
    "open_blobs",
    "private_key_key",
    "requisition_key",
]
