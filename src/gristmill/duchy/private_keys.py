"""gristmill.duchy.PrivateKeys at the internal API: private keysets into and out of the store, sealed there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gristmill.duchy.status import Context
from gristmill.errors import InvalidRequest
from gristmill.observe.logs import logger
from gristmill.proto.duchy import private_keys_pb2
from gristmill.proto.duchy.private_keys_pb2_grpc import PrivateKeysServicer
from gristmill.secret import Secret
from gristmill.store import Fence
from gristmill.trust.hybrid import PrivateKeyset, private_key_id

if TYPE_CHECKING:
    from gristmill.store import Store

log = logger("internal-api")


class PrivateKeys(PrivateKeysServicer):
    def __init__(self, store: Store) -> None:
        self._store = store

    async def CreateComputationWithKey(  # noqa: N802
        self, request: private_keys_pb2.CreateComputationWithKeyRequest, context: Context
    ) -> private_keys_pb2.CreateComputationWithKeyResponse:
        keyset = PrivateKeyset(Secret(request.private_keyset))
        pair = request.computation.computation_details.honest_majority_share_shuffle.encryption_key_pair
        if pair.private_key_id != private_key_id(keyset.public_key):
            raise InvalidRequest("private_keyset is not the private half of the encryption_key_pair in the details")
        token = await self._store.create(request.computation, keyset.serialize())
        log.info("created, with a private key", computation=token.global_computation_id)
        return private_keys_pb2.CreateComputationWithKeyResponse(token=token)

    async def GetPrivateKeyset(  # noqa: N802
        self, request: private_keys_pb2.GetPrivateKeysetRequest, context: Context
    ) -> private_keys_pb2.GetPrivateKeysetResponse:
        fence = Fence(request.fence, request.owner)
        keyset = await self._store.private_keyset(request.global_computation_id, fence)
        return private_keys_pb2.GetPrivateKeysetResponse(private_keyset=keyset.expose())
