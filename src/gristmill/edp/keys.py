"""What a data provider needs to know: its own keys, and the roots of everybody whose word it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509

from gristmill.trust.certificates import read_certificate
from gristmill.trust.development import DevelopmentKeys
from gristmill.trust.files import TlsFiles
from gristmill.trust.hybrid import PrivateKeyset
from gristmill.trust.signatures import Signer


@dataclass(frozen=True, slots=True)
class DataProviderKeys:
    """A data provider's identity and whom it trusts: duchies by ID, measurement consumers by resource name.

    It signs with `signer`, whose certificate the kingdom knows by the resource name `certificate`.
    """

    name: str
    certificate: str
    signer: Signer
    keyset: PrivateKeyset
    tls: TlsFiles
    kingdom_roots: tuple[x509.Certificate, ...]
    duchy_roots: Mapping[str, x509.Certificate]
    consumer_roots: Mapping[str, x509.Certificate]

    @classmethod
    def of(cls, keys: DevelopmentKeys, name: str) -> DataProviderKeys:
        """Everything from a directory made by `gristmill keys make`, for the data provider of that short name."""
        own = keys.data_provider(name)
        consumer = keys.measurement_consumer
        return cls(
            name=own.resource,
            certificate=own.certificate,
            signer=Signer.read(certificate=own.signing_certificate_file, key=own.signing_key_file),
            keyset=PrivateKeyset.read(own.private_keyset_file),
            tls=own.tls,
            kingdom_roots=(read_certificate(keys.kingdom.root_file),),
            duchy_roots={duchy.name: read_certificate(duchy.root_file) for duchy in keys.duchies},
            consumer_roots={consumer.resource: read_certificate(consumer.root_file)},
        )
