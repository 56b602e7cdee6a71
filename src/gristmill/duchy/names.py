"""Resource names that cross the wire (system API and public API), built and parsed in one place."""

from __future__ import annotations

import re

from gristmill.errors import InvalidRequest

_ID = r"[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,62}"
"""What goes into blob keys, log lines and statements unchanged: no path, no control character, and not without end."""

_COMPUTATION = re.compile(f"computations/({_ID})")
_PARTICIPANT = re.compile(f"computations/({_ID})/participants/({_ID})")
_STAGE = re.compile(f"computations/({_ID})/participants/({_ID})/stage")
_SYSTEM_REQUISITION = re.compile(f"computations/({_ID})/requisitions/({_ID})")
_REQUISITION = re.compile(f"(dataProviders/{_ID})/requisitions/({_ID})")
_PROVIDER_CERTIFICATE = re.compile(f"(dataProviders/{_ID})/certificates/({_ID})")


def computation(computation_id: str) -> str:
    return f"computations/{computation_id}"


def participant(computation_id: str, duchy: str) -> str:
    return f"computations/{computation_id}/participants/{duchy}"


def system_requisition(computation_id: str, requisition_id: str) -> str:
    return f"computations/{computation_id}/requisitions/{requisition_id}"


def parse_computation(name: str) -> str:
    """`computations/{computation}` -> computation."""
    return _match(_COMPUTATION, name, "computations/{computation}")[0]


def parse_participant(name: str) -> tuple[str, str]:
    """`computations/{computation}/participants/{duchy}` -> computation, duchy."""
    computation_id, duchy = _match(_PARTICIPANT, name, "computations/{computation}/participants/{duchy}")
    return computation_id, duchy


def parse_stage(name: str) -> tuple[str, str]:
    """`computations/{computation}/participants/{duchy}/stage` -> computation, duchy: what peers really send."""
    computation_id, duchy = _match(_STAGE, name, "computations/{computation}/participants/{duchy}/stage")
    return computation_id, duchy


def parse_system_requisition(name: str) -> tuple[str, str]:
    """`computations/{computation}/requisitions/{requisition}` -> computation, requisition."""
    computation_id, requisition = _match(_SYSTEM_REQUISITION, name, "computations/{computation}/requisitions/{id}")
    return computation_id, requisition


def parse_requisition(name: str) -> tuple[str, str]:
    """`dataProviders/{data_provider}/requisitions/{requisition}` -> `dataProviders/{data_provider}`, requisition."""
    provider, requisition = _match(_REQUISITION, name, "dataProviders/{data_provider}/requisitions/{requisition}")
    return provider, requisition


def parse_provider_certificate(name: str) -> tuple[str, str]:
    """`dataProviders/{data_provider}/certificates/{certificate}` -> `dataProviders/{data_provider}`, certificate."""
    form = "dataProviders/{data_provider}/certificates/{certificate}"
    provider, certificate = _match(_PROVIDER_CERTIFICATE, name, form, what="data_provider_certificate")
    return provider, certificate


def _match(pattern: re.Pattern[str], name: str, form: str, *, what: str = "name") -> tuple[str, ...]:
    match = pattern.fullmatch(name)
    if match is None:
        raise InvalidRequest(f"{what} is not of the form {form}, with IDs of 1 to 63 letters, digits and - . _ ~")
    return match.groups()
