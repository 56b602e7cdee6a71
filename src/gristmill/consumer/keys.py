"""What a measurement consumer needs to know: its own keys, and everybody else's roots, certificates and public keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509

from gristmill.trust.certificates import read_certificate
from gristmill.trust.development import DevelopmentKeys
from gristmill.trust.files import TlsFiles
from gristmill.trust.hybrid import PrivateKeyset
from gristmill.trust.signatures import Signer
from wfa.measurement.api.v2alpha.crypto_pb2 import EncryptionPublicKey


@dataclass(frozen=True, slots=True)
class DataProvider:
    """A data provider as its consumers know it: resource names, and the key that requisitions are encrypted to."""

    name: str
    certificate: str
    public_key: EncryptionPublicKey


@dataclass(frozen=True, slots=True)
class ConsumerKeys:
    """A consumer's identity and whom it trusts. `duchy_roots` are by duchy ID; results come from `aggregator` only."""

    name: str
    certificate: str
    signer: Signer
    keyset: PrivateKeyset
    tls: TlsFiles
    kingdom_root: x509.Certificate
    duchy_roots: Mapping[str, x509.Certificate]
    aggregator: str
    data_providers: tuple[DataProvider, ...]

    @classmethod
    def of(cls, keys: DevelopmentKeys) -> ConsumerKeys:
        """Everything from a directory made by `gristmill keys make`."""
        own = keys.measurement_consumer
        return cls(
            name=own.resource,
            certificate=own.certificate,
            signer=Signer.read(certificate=own.signing_certificate_file, key=own.signing_key_file),
            keyset=PrivateKeyset.read(own.private_keyset_file),
            tls=own.tls,
            kingdom_root=read_certificate(keys.kingdom.root_file),
            duchy_roots={duchy.name: read_certificate(duchy.root_file) for duchy in keys.duchies},
            aggregator=keys.aggregator,
            data_providers=tuple(
                DataProvider(
                    party.resource,
                    party.certificate,
                    EncryptionPublicKey(
                        format=EncryptionPublicKey.TINK_KEYSET, data=party.public_keyset_file.read_bytes()
                    ),
                )
                for party in keys.data_providers
            ),
        )
