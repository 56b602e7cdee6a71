"""A data provider's seed comes back only to the key that it is for, and only from the provider that signed it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key
from tink.proto import tink_pb2

from gristmill.errors import BadInput, ParticipationInvalid
from gristmill.secret import Secret
from gristmill.trust import hybrid
from gristmill.trust.authority import Root
from gristmill.trust.certificates import read_certificate
from gristmill.trust.development import DevelopmentKeys, Party
from gristmill.trust.hybrid import PrivateKeyset, private_key_id
from gristmill.trust.random_seed import open_seed, seal_seed
from gristmill.trust.signatures import Signer
from reference.fingerprint import fingerprint64
from wfa.measurement.api.v2alpha.crypto_pb2 import SignedMessage
from wfa.measurement.api.v2alpha.random_seed_pb2 import RandomSeed
from wfa.measurement.api.v2alpha.requisition_spec_pb2 import RequisitionSpec

SEED = Secret(bytes(range(48)))
KEYSET = PrivateKeyset.generate()


def signer_of(party: Party) -> Signer:
    return Signer.read(certificate=party.signing_certificate_file, key=party.signing_key_file)


def certificates_of(party: Party) -> tuple[x509.Certificate, x509.Certificate]:
    return read_certificate(party.signing_certificate_file), read_certificate(party.root_file)


@pytest.fixture
def providers(keys: DevelopmentKeys) -> tuple[Party, Party]:
    one, two = keys.data_providers
    return one, two


def opened(ciphertext: bytes, party: Party, keyset: PrivateKeyset = KEYSET) -> Secret:
    return open_seed(ciphertext, keyset, *certificates_of(party), what="the seed of requisition r1")


def test_a_seed_comes_back_to_the_key_that_it_is_for(providers: tuple[Party, Party]) -> None:
    sealed = seal_seed(SEED, signer_of(providers[0]), KEYSET.public_key)
    assert sealed.type_url == "type.googleapis.com/wfa.measurement.api.v2alpha.SignedMessage"
    assert SEED.expose() not in sealed.ciphertext
    assert opened(sealed.ciphertext, providers[0]) == SEED


def test_a_seed_for_another_key_does_not_open(providers: tuple[Party, Party]) -> None:
    sealed = seal_seed(SEED, signer_of(providers[0]), PrivateKeyset.generate().public_key)
    with pytest.raises(BadInput, match="the seed of requisition r1 is not encrypted to this duchy's key"):
        opened(sealed.ciphertext, providers[0])


def test_a_seed_that_another_data_provider_signed_is_refused(providers: tuple[Party, Party]) -> None:
    sealed = seal_seed(SEED, signer_of(providers[1]), KEYSET.public_key)
    with pytest.raises(ParticipationInvalid, match="the signature of the seed of requisition r1 is wrong"):
        opened(sealed.ciphertext, providers[0])


def test_a_certificate_of_another_root_is_refused(providers: tuple[Party, Party]) -> None:
    sealed = seal_seed(SEED, signer_of(providers[0]), KEYSET.public_key)
    certificate, root = (
        read_certificate(providers[0].signing_certificate_file),
        read_certificate(providers[1].root_file),
    )
    with pytest.raises(ParticipationInvalid, match="not issued by its owner's root"):
        open_seed(sealed.ciphertext, KEYSET, certificate, root, what="the seed")


def test_an_expired_certificate_is_refused() -> None:
    root = Root.create("edp")
    leaf = root.issue_signing("edp", start=datetime.now(UTC) - timedelta(days=2), lifetime=timedelta(days=1))
    key = load_der_private_key(leaf.key_der.expose(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    sealed = seal_seed(SEED, Signer(key, leaf.certificate), KEYSET.public_key)
    with pytest.raises(ParticipationInvalid, match="expired"):
        open_seed(sealed.ciphertext, KEYSET, leaf.certificate, root.certificate, what="the seed")


@pytest.mark.parametrize("length", [0, 32, 47, 49])
def test_a_seed_of_another_length_is_refused_at_both_ends(length: int, providers: tuple[Party, Party]) -> None:
    with pytest.raises(BadInput, match=f"the seed has {length} bytes, not 48"):
        seal_seed(Secret(bytes(length)), signer_of(providers[0]), KEYSET.public_key)
    signed = signer_of(providers[0]).sign_message(RandomSeed(data=bytes(length)))
    sealed = hybrid.encrypt_message(signed, KEYSET.public_key)
    with pytest.raises(BadInput, match=f"the seed of requisition r1 has {length} bytes, not 48"):
        opened(sealed.ciphertext, providers[0])


@pytest.mark.parametrize("message", [RequisitionSpec(nonce=5), SignedMessage()])
def test_another_signed_message_is_no_seed(
    message: RequisitionSpec | SignedMessage, providers: tuple[Party, Party]
) -> None:
    sealed = hybrid.encrypt_message(signer_of(providers[0]).sign_message(message), KEYSET.public_key)
    with pytest.raises(ParticipationInvalid, match=r"not a wfa.*RandomSeed"):
        opened(sealed.ciphertext, providers[0])


def test_bytes_that_are_no_signed_message_are_refused(providers: tuple[Party, Party]) -> None:
    with pytest.raises(ParticipationInvalid, match=r"is not a wfa.*SignedMessage"):
        opened(hybrid.encrypt(b"\xff\xff", KEYSET.public_key), providers[0])


@pytest.mark.parametrize("attempt", range(8))
def test_a_private_key_is_filed_under_the_signed_fingerprint_of_its_public_keys_data(attempt: int) -> None:
    public = PrivateKeyset.generate().public_key
    (key,) = tink_pb2.Keyset.FromString(public.data).key
    assert int(private_key_id(public)) % 2**64 == fingerprint64(key.key_data.value)
    assert -(2**63) <= int(private_key_id(public)) < 2**63
