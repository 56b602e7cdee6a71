"""Resource names and etags of the system and the public API, parsed strictly: what does not match is INVALID_ARGUMENT.

IDs are the unpadded base64url text of a positive 64-bit integer in 8 big-endian bytes, so always 11 characters. A
measurement and the computation that carries it out share one ID. Duchy IDs are plain text.
"""

from __future__ import annotations

import base64
import binascii
import re

from gristmill.errors import InvalidRequest

_ID = r"[A-Za-z0-9_-]{11}"
_DUCHY = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_COMPUTATION = re.compile(rf"computations/({_ID})")
_PARTICIPANT = re.compile(rf"computations/({_ID})/participants/({_DUCHY})")
_SYSTEM_REQUISITION = re.compile(rf"computations/({_ID})/requisitions/({_ID})")
_MEASUREMENT = re.compile(rf"(measurementConsumers/{_ID})/measurements/({_ID})")
_REQUISITION = re.compile(
    rf"(?:(dataProviders/{_ID})|(measurementConsumers/{_ID})/measurements/({_ID}))/requisitions/({_ID})"
)
_DATA_PROVIDER = re.compile(rf"dataProviders/{_ID}")
_CONSUMER = re.compile(rf"measurementConsumers/{_ID}")
_OWNER = rf"duchies/{_DUCHY}|(?:dataProviders|measurementConsumers|modelProviders)/{_ID}"
_CERTIFICATE = re.compile(rf"({_OWNER})/certificates/({_ID})")
_ETAG = re.compile(r'W/"([0-9A-F]{16})"')


def to_text(identifier: int) -> str:
    """The 11 characters of an ID."""
    return base64.urlsafe_b64encode(identifier.to_bytes(8, "big")).rstrip(b"=").decode()


def from_text(text: str) -> int:
    """The integer of an 11-character ID; raises InvalidRequest."""
    try:
        value = int.from_bytes(base64.urlsafe_b64decode(text + "="), "big")
    except (ValueError, binascii.Error):
        raise InvalidRequest(f"{text!r} is not an ID") from None
    if not 0 < value < 2**63 or to_text(value) != text:
        raise InvalidRequest(f"{text!r} is not an ID", cure="IDs are 11 characters of base64url.")
    return value


def computation(identifier: int) -> str:
    return f"computations/{to_text(identifier)}"


def participant(identifier: int, duchy: str) -> str:
    return f"computations/{to_text(identifier)}/participants/{duchy}"


def system_requisition(computation_id: int, requisition_id: int) -> str:
    return f"computations/{to_text(computation_id)}/requisitions/{to_text(requisition_id)}"


def measurement(consumer: str, identifier: int) -> str:
    return f"{consumer}/measurements/{to_text(identifier)}"


def requisition(data_provider: str, identifier: int) -> str:
    return f"{data_provider}/requisitions/{to_text(identifier)}"


def parse_computation(name: str) -> int:
    return from_text(_match(_COMPUTATION, name, "a computation")[1])


def parse_participant(name: str) -> tuple[int, str]:
    """The computation's ID and the duchy's."""
    match = _match(_PARTICIPANT, name, "a computation participant")
    return from_text(match[1]), match[2]


def parse_system_requisition(name: str) -> tuple[int, int]:
    """The computation's ID and the requisition's."""
    match = _match(_SYSTEM_REQUISITION, name, "a requisition of a computation")
    return from_text(match[1]), from_text(match[2])


def parse_measurement(name: str) -> tuple[str, int]:
    """The consumer's name and the measurement's ID."""
    match = _match(_MEASUREMENT, name, "a measurement")
    return match[1], from_text(match[2])


def parse_requisition(name: str) -> tuple[str, int]:
    """The name of the data provider or, in the long form, of the consumer; and the requisition's ID."""
    match = _match(_REQUISITION, name, "a requisition")
    return match[1] or match[2], from_text(match[4])


def parse_certificate(name: str) -> tuple[str, str]:
    """The name of the certificate's owner, and the certificate's ID as text."""
    match = _match(_CERTIFICATE, name, "a certificate")
    return match[1], match[2]


def require_data_provider(name: str) -> str:
    return _match(_DATA_PROVIDER, name, "a data provider")[0]


def require_consumer(name: str) -> str:
    return _match(_CONSUMER, name, "a measurement consumer")[0]


def etag(updated: int) -> str:
    """The weak entity tag of a resource that was last changed at `updated` (microseconds)."""
    return f'W/"{updated:016X}"'


def etag_time(text: str) -> int | None:
    """The update time that an etag stands for, None for an absent one; one that is none of ours matches no resource."""
    if not text:
        return None
    match = _ETAG.fullmatch(text)
    return int(match[1], 16) if match else -1


def _match(pattern: re.Pattern[str], name: str, what: str) -> re.Match[str]:
    match = pattern.fullmatch(name)
    if match is None:
        raise InvalidRequest(f"{name[:200]!r} is not the name of {what}")
    return match
