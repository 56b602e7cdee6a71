"""The seed of a data provider's share: signed by the provider, encrypted to the worker that expands it.

Inside out (share shuffle specification, 5.3): RandomSeed, SignedMessage, EncryptedMessage with an empty context. The
seed is an AES-256 key of 32 bytes followed by an initial counter block of 16.
"""

from __future__ import annotations

from typing import Final

from cryptography import x509

from gristmill.errors import BadInput
from gristmill.secret import Secret
from gristmill.trust import hybrid
from gristmill.trust.hybrid import PrivateKeyset
from gristmill.trust.signatures import TYPE_URL_PREFIX, Signer, verify_message
from wfa.measurement.api.v2alpha.crypto_pb2 import EncryptedMessage, EncryptionPublicKey, SignedMessage
from wfa.measurement.api.v2alpha.random_seed_pb2 import RandomSeed

SEED_BYTES: Final = 48


def seal_seed(seed: Secret, signer: Signer, public_key: EncryptionPublicKey) -> EncryptedMessage:
    """The seed, signed and encrypted to `public_key`. `BadInput` unless it has 48 bytes and the key is a usable one."""
    if len(seed) != SEED_BYTES:
        raise BadInput(f"the seed has {len(seed)} bytes, not {SEED_BYTES}")
    return hybrid.encrypt_message(signer.sign_message(RandomSeed(data=seed.expose())), public_key)


def open_seed(
    ciphertext: bytes, keyset: PrivateKeyset, certificate: x509.Certificate, root: x509.Certificate, *, what: str
) -> Secret:
    """The 48 bytes inside, after the signer's certificate was held against `root` and the signature verified.

    `BadInput` when the ciphertext is for another key or the seed has another length; `ParticipationInvalid` for a
    certificate that does not hold, a signature by somebody else, or another message. Each names `what`.
    """
    encrypted = EncryptedMessage(ciphertext=ciphertext, type_url=TYPE_URL_PREFIX + SignedMessage.DESCRIPTOR.full_name)
    try:
        signed = keyset.decrypt_message(encrypted, SignedMessage, what=what)
    except BadInput:
        raise BadInput(f"{what} is not encrypted to this duchy's key for the computation") from None
    seed = Secret(verify_message(signed, RandomSeed, certificate, root, what=what).data)
    if len(seed) != SEED_BYTES:
        raise BadInput(f"{what} has {len(seed)} bytes, not {SEED_BYTES}")
    return seed
