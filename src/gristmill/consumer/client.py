"""A measurement consumer's connection to the kingdom: create, follow, cancel, and read the result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import grpc

from gristmill import errors
from gristmill.consumer.keys import ConsumerKeys
from gristmill.consumer.request import MeasurementRequest, build
from gristmill.consumer.result import MeasurementResult, open_result
from gristmill.proto.kingdom import measurements_pb2 as wire
from gristmill.proto.kingdom.measurements_pb2_grpc import MeasurementsStub
from gristmill.trust.channels import Target, channel, client_credentials
from wfa.measurement.api.v2alpha.certificates_service_pb2 import GetCertificateRequest
from wfa.measurement.api.v2alpha.certificates_service_pb2_grpc import CertificatesStub
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement

OnState = Callable[[Measurement], None]

_PAUSE_SECONDS = 0.5
_ERRORS: dict[str, type[errors.GristmillError]] = {
    kind.status: kind
    for kind in (
        errors.InvalidRequest,
        errors.Unauthenticated,
        errors.PermissionDenied,
        errors.NotFound,
        errors.AlreadyExists,
        errors.PreconditionFailed,
        errors.Conflict,
        errors.Unavailable,
    )
}


class Consumer:
    """Synchronous; one channel over mutual TLS that trusts the kingdom's root only. Close it or use it as a context."""

    def __init__(self, keys: ConsumerKeys, target: Target) -> None:
        self._keys = keys
        self._channel = channel(target, client_credentials([keys.kingdom_root], keys.tls))
        self._measurements = MeasurementsStub(self._channel)
        self._certificates = CertificatesStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()

    def create(self, request: MeasurementRequest, *, request_id: str = "") -> str:
        """Build, sign and submit a measurement; its resource name. Raises what the kingdom refuses it with."""
        return self.submit(build(request, self._keys), request_id=request_id).name

    def submit(self, measurement: Measurement, *, request_id: str = "") -> Measurement:
        """Submit a measurement that has been built already, for instance once more with the same `request_id`."""
        with _translated("the measurement could not be created"):
            return self._measurements.CreateMeasurement(
                wire.CreateMeasurementRequest(parent=self._keys.name, measurement=measurement, request_id=request_id)
            )

    def get(self, name: str) -> Measurement:
        with _translated(f"{name} could not be read"):
            return self._measurements.GetMeasurement(wire.GetMeasurementRequest(name=name))

    def cancel(self, name: str) -> Measurement:
        with _translated(f"{name} could not be cancelled"):
            return self._measurements.CancelMeasurement(wire.CancelMeasurementRequest(name=name))

    def wait(
        self, name: str, *, timeout_seconds: float | None = None, on_state: OnState | None = None
    ) -> MeasurementResult:
        """Wait for the end of a measurement and return its verified result.

        `on_state` is called with the measurement now and whenever it changes. Raises PermanentFailure if it failed or
        was cancelled, Unavailable after `timeout_seconds`; the connection is made again as often as it is lost.
        """
        ended = self._watch(name, timeout_seconds, on_state)
        if ended.state != Measurement.SUCCEEDED:
            state = Measurement.State.Name(ended.state)
            reason = Measurement.Failure.Reason.Name(ended.failure.reason) if ended.HasField("failure") else ""
            detail = ": ".join(part for part in (reason, ended.failure.message) if part)
            raise errors.MeasurementFailed(f"{name} is {state}" + (f" ({detail})" if detail else ""))
        return self.open(ended)

    def open(self, measurement: Measurement) -> MeasurementResult:
        """The verified result of a measurement that has SUCCEEDED."""
        names = [output.certificate for output in measurement.results]
        with _translated("the certificate that signed the result could not be read"):
            certificate = self._certificates.GetCertificate(GetCertificateRequest(name=names[0] if names else ""))
        return open_result(measurement, certificate, self._keys)

    def _watch(self, name: str, timeout_seconds: float | None, on_state: OnState | None) -> Measurement:
        end = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        seen = (0, 0)
        while True:
            remaining = None if end is None else end - time.monotonic()
            if remaining is not None and remaining <= 0:
                raise errors.Unfinished(f"{name} did not end within {timeout_seconds:g} seconds")
            try:
                call = self._measurements.WatchMeasurement(wire.WatchMeasurementRequest(name=name), timeout=remaining)
                for measurement in call:
                    updated = (measurement.update_time.seconds, measurement.update_time.nanos)
                    if updated > seen and on_state is not None:
                        on_state(measurement)
                    seen = updated
                    if measurement.state in (Measurement.SUCCEEDED, Measurement.FAILED, Measurement.CANCELLED):
                        return measurement
            except grpc.RpcError as error:
                status = error.code()
                if status not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    raise _error(error, f"{name} could not be followed") from None
            time.sleep(_PAUSE_SECONDS)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        raise _error(error, what) from None


def _error(error: grpc.RpcError, what: str) -> errors.GristmillError:
    """A failed call as one of our errors, by its status."""
    status: grpc.StatusCode = error.code()
    kind = _ERRORS.get(status.name, errors.Unavailable)
    return kind(f"{what}: {status.name}: {error.details()}")
