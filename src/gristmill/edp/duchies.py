"""The duchies of a requisition, each known by its root: whose word the data provider takes (public API, 6.6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cryptography import x509

from gristmill.edp.keys import DataProviderKeys
from gristmill.edp.refusal import valid
from gristmill.errors import ParticipationInvalid
from wfa.measurement.api.v2alpha.certificate_pb2 import Certificate
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition


@dataclass(frozen=True, slots=True)
class DuchyEntry:
    """A duchy's part of a requisition, with the certificate that its key must be signed by and the duchy's root."""

    duchy: str
    value: Requisition.DuchyEntry.Value
    certificate_der: bytes
    root: x509.Certificate


def entries(
    requisition: Requisition, certificates: Mapping[str, Certificate], keys: DataProviderKeys
) -> Iterator[DuchyEntry]:
    """Each duchy once; ParticipationInvalid for one that is unknown, named twice or has another's certificate."""
    seen: set[str] = set()
    for entry in requisition.duchies:
        duchy = entry.key.removeprefix("duchies/")
        root = keys.duchy_roots.get(duchy)
        if root is None or duchy in seen:
            raise ParticipationInvalid(f"{entry.key} is no duchy that this data provider knows, or is named twice")
        seen.add(duchy)
        name = entry.value.duchy_certificate
        if name.partition("/certificates/")[0] != f"duchies/{duchy}":
            raise ParticipationInvalid(f"the certificate of duchy {duchy} belongs to somebody else")
        yield DuchyEntry(duchy, entry.value, valid(certificates, name), root)
