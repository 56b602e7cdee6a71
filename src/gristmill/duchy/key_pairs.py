"""The secrets with which a computation is created, and where its private key goes.

A worker of share shuffle starts with a random seed and an HPKE key pair. The private half goes into our internal API's
database, sealed there, in the transaction that creates the computation. Where an existing internal API or existing
mills are in use it goes, sealed under the key-encryption keyset, into blob storage, where they look for it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import grpc

from gristmill.blobs import private_key_key
from gristmill.errors import ComputationUnsupported
from gristmill.proto.duchy.private_keys_pb2 import CreateComputationWithKeyRequest
from gristmill.trust.hybrid import PrivateKeyset, private_key_id
from gristmill.trust.random_seed import SEED_BYTES
from wfa.measurement.internal.duchy.config.protocols_setup_config_pb2 import AGGREGATOR
from wfa.measurement.internal.duchy.crypto_pb2 import EncryptionPublicKey

if TYPE_CHECKING:
    from gristmill.blobs import BlobStore
    from gristmill.proto.duchy.private_keys_pb2_grpc import PrivateKeysStub
    from gristmill.secret import Secret
    from gristmill.trust.key_encryption import KeyEncryption
    from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
    from wfa.measurement.internal.duchy.computations_service_pb2 import CreateComputationRequest
    from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsStub

DEADLINE: Final = 30.0


@dataclass(frozen=True, slots=True)
class KeyBlobs:
    """Blob storage for private keysets, as the existing system has it. `always`: even if the database could keep them,
    because existing mills look nowhere else."""

    blobs: BlobStore
    key_encryption: KeyEncryption
    always: bool = False


@dataclass(frozen=True, slots=True)
class Creator:
    """Creates computations at the internal API, with whatever secrets their protocol starts with."""

    computations: ComputationsStub
    private_keys: PrivateKeysStub
    key_blobs: KeyBlobs | None = None

    def create(self, request: CreateComputationRequest) -> None:
        """RpcError as the internal API gives it; ALREADY_EXISTS leaves the secrets of the first creation in place."""
        keyset = draw_secrets(request.computation_details)
        if keyset is None:
            self.computations.CreateComputation(request, timeout=DEADLINE)
        elif self.key_blobs is not None and self.key_blobs.always:
            self._create_by_wire(request, keyset)
        else:
            self._create_with_key(request, keyset)

    def _create_with_key(self, request: CreateComputationRequest, keyset: Secret) -> None:
        with_key = CreateComputationWithKeyRequest(computation=request, private_keyset=keyset.expose())
        try:
            self.private_keys.CreateComputationWithKey(with_key, timeout=DEADLINE)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise
            self._create_by_wire(request, keyset)

    def _create_by_wire(self, request: CreateComputationRequest, keyset: Secret) -> None:
        """The keyset first, so that no computation is without. It stays if nobody knows whether there is one now."""
        place = self.key_blobs
        if place is None:
            raise ComputationUnsupported(
                "the internal API keeps no private keys, and the herald was given no place for them",
                cure="give the herald --key-encryption-key-file and the blob storage's flags",
            )
        pair = request.computation_details.honest_majority_share_shuffle.encryption_key_pair
        key = private_key_key(pair.private_key_id)
        with place.blobs.write(key) as writer:
            writer.append(place.key_encryption.seal_keyset(keyset))
            writer.commit()
        try:
            self.computations.CreateComputation(request, timeout=DEADLINE)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.ALREADY_EXISTS:
                place.blobs.delete(key)
            raise


def draw_secrets(details: ComputationDetails) -> Secret | None:
    """Fill in what a worker of share shuffle starts with; the private keyset, None for all others."""
    part = details.honest_majority_share_shuffle
    if details.WhichOneof("protocol") != "honest_majority_share_shuffle" or part.role == AGGREGATOR:
        return None
    keyset = PrivateKeyset.generate()
    part.random_seed = secrets.token_bytes(SEED_BYTES)
    part.encryption_key_pair.private_key_id = private_key_id(keyset.public_key)
    part.encryption_key_pair.public_key.format = EncryptionPublicKey.TINK_KEYSET
    part.encryption_key_pair.public_key.data = keyset.public_key.data
    return keyset.serialize()
