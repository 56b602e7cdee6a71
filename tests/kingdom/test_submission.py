"""What the kingdom accepts from a measurement consumer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import grpc
import grpc.aio
import pytest

from gristmill.consumer.request import MeasurementRequest, Privacy
from gristmill.proto.kingdom import measurements_pb2 as wire
from gristmill.trust.signatures import Signer, signed_bytes
from kingdom.actors import PRIVACY, World, computation_of
from wfa.measurement.api.v2alpha import certificates_service_pb2 as certificates
from wfa.measurement.api.v2alpha.certificate_pb2 import Certificate
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.api.v2alpha.protocol_config_pb2 import ProtocolConfig
from wfa.measurement.system.v1alpha.computation_pb2 import Computation


async def refused(kingdom: World, measurement: Measurement) -> tuple[grpc.StatusCode, str]:
    """How submitting it is refused; nothing may have been recorded."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await kingdom.submit(measurement)
    listed = await kingdom.measurements.ListMeasurements(wire.ListMeasurementsRequest(parent=kingdom.consumer.name))
    assert not listed.measurements
    return caught.value.code(), caught.value.details() or ""


def resigned(kingdom: World, measurement: Measurement, change: Callable[[MeasurementSpec], None]) -> Measurement:
    """The measurement with a changed specification, signed again by the consumer."""
    specification = MeasurementSpec.FromString(signed_bytes(measurement.measurement_spec))
    change(specification)
    measurement.measurement_spec.CopyFrom(kingdom.consumer.signer.sign_message(specification))
    return measurement


async def test_reach_and_frequency_is_carried_by_liquid_legions_v2(kingdom: World) -> None:
    measurement = await kingdom.submit(kingdom.build())
    assert measurement.protocol_config.measurement_type == ProtocolConfig.REACH_AND_FREQUENCY
    public = measurement.protocol_config.protocols[0].liquid_legions_v2
    assert (public.sketch_params.max_size, public.elliptic_curve_id) == (1000, 415)
    computation = await kingdom.duchies["worker1"].computation(computation_of(measurement))
    system = computation.mpc_protocol_config.liquid_legions_v2
    assert system.noise_mechanism == Computation.MpcProtocolConfig.DISCRETE_GAUSSIAN
    assert public.noise_mechanism == ProtocolConfig.DISCRETE_GAUSSIAN


async def test_reach_alone_is_carried_by_it_without_a_maximum_frequency(kingdom: World) -> None:
    measurement = await kingdom.submit(kingdom.build(dataclasses.replace(kingdom.request, frequency=None)))
    assert measurement.protocol_config.measurement_type == ProtocolConfig.REACH
    system = await kingdom.duchies["worker1"].computation(computation_of(measurement))
    assert MeasurementSpec.FromString(system.measurement_spec).HasField("reach")
    assert system.mpc_protocol_config.WhichOneof("protocol") == "liquid_legions_v2"


async def test_a_specification_that_was_changed_after_signing_is_refused(kingdom: World) -> None:
    measurement = kingdom.build()
    specification = MeasurementSpec.FromString(signed_bytes(measurement.measurement_spec))
    specification.vid_sampling_interval.width = 0.5
    measurement.measurement_spec.message.value = specification.SerializeToString()
    code, details = await refused(kingdom, measurement)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "signature" in details


async def test_a_specification_that_somebody_else_signed_is_refused(kingdom: World) -> None:
    measurement, party = kingdom.build(), kingdom.keys.data_provider("edp1")
    signer = Signer.read(certificate=party.signing_certificate_file, key=party.signing_key_file)
    specification = MeasurementSpec.FromString(signed_bytes(measurement.measurement_spec))
    measurement.measurement_spec.CopyFrom(signer.sign_message(specification))
    assert (await refused(kingdom, measurement))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_only_the_consumer_itself_submits_and_reads_its_measurements(kingdom: World) -> None:
    measurement = await kingdom.submit(kingdom.build())
    stranger = type(kingdom.measurements)(kingdom.channels["edp1"])
    for call in (
        stranger.CreateMeasurement(
            wire.CreateMeasurementRequest(parent=kingdom.consumer.name, measurement=kingdom.build())
        ),
        stranger.GetMeasurement(wire.GetMeasurementRequest(name=measurement.name)),
        stranger.CancelMeasurement(wire.CancelMeasurementRequest(name=measurement.name)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"reach": Privacy(0.0, 1e-5)}, "epsilon"),
        ({"reach": Privacy(float("nan"), 1e-5)}, "epsilon"),
        ({"frequency": Privacy(1.0, 0.0)}, "delta"),
        ({"maximum_frequency": 1}, "maximum_frequency"),
        ({"sampling_width": 0.0}, "width"),
        ({"sampling_width": float("nan")}, "width"),
        ({"sampling_start": 0.5, "sampling_width": 0.6}, "start + width"),
    ],
)
async def test_a_parameter_that_no_duchy_would_accept_is_refused_by_name(
    kingdom: World, changes: dict[str, object], field: str
) -> None:
    request: MeasurementRequest = dataclasses.replace(kingdom.request, **changes)  # type: ignore[arg-type]
    code, details = await refused(kingdom, kingdom.build(request))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in details


async def test_an_interval_that_ends_at_one_in_single_precision_is_accepted(kingdom: World) -> None:
    request = dataclasses.replace(kingdom.request, sampling_start=0.6, sampling_width=0.4)  # > 1 in double precision
    assert (await kingdom.submit(kingdom.build(request))).name


async def test_one_data_provider_is_too_few(kingdom: World) -> None:
    request = dataclasses.replace(kingdom.request, data_providers=kingdom.request.data_providers[:1])
    code, details = await refused(kingdom, kingdom.build(request))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "two data providers" in details


async def test_nonce_hashes_that_are_not_the_data_providers_are_refused(kingdom: World) -> None:
    measurement = resigned(kingdom, kingdom.build(), lambda specification: specification.nonce_hashes.append(bytes(32)))
    code, details = await refused(kingdom, measurement)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "nonce_hashes" in details


async def test_a_certificate_of_another_data_provider_is_refused(kingdom: World) -> None:
    measurement = kingdom.build()
    first, second = measurement.data_providers
    first.value.data_provider_certificate = second.value.data_provider_certificate
    assert (await refused(kingdom, measurement))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_certificate_on_hold_is_refused_until_it_is_released(kingdom: World) -> None:
    own = kingdom.keys.data_provider("edp1")
    stub = kingdom.certificates("edp1")
    await stub.RevokeCertificate(
        certificates.RevokeCertificateRequest(name=own.certificate, revocation_state=Certificate.HOLD)
    )
    assert (await refused(kingdom, kingdom.build()))[0] is grpc.StatusCode.FAILED_PRECONDITION
    await stub.ReleaseCertificateHold(certificates.ReleaseCertificateHoldRequest(name=own.certificate))
    assert (await kingdom.submit(kingdom.build())).name


async def test_repeating_a_request_id_returns_the_measurement_that_it_made(kingdom: World) -> None:
    measurement = kingdom.build()
    first = await kingdom.submit(measurement, request_id="one")
    again = await kingdom.submit(measurement, request_id="one")
    assert first == again
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await kingdom.submit(kingdom.build(), request_id="one")
    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS


async def test_fields_that_are_the_kingdoms_to_say_are_ignored(kingdom: World) -> None:
    measurement = kingdom.build()
    measurement.state = Measurement.SUCCEEDED
    measurement.results.add(certificate="duchies/worker1/certificates/AAAAAAAAAAE")
    created = await kingdom.submit(measurement)
    assert (created.state, len(created.results)) == (Measurement.AWAITING_REQUISITION_FULFILLMENT, 0)


async def test_measurements_are_listed_page_by_page(kingdom: World) -> None:
    names = [(await kingdom.submit(kingdom.build())).name for _ in range(3)]
    found, token = [], ""
    while True:
        page = await kingdom.measurements.ListMeasurements(
            wire.ListMeasurementsRequest(parent=kingdom.consumer.name, page_size=2, page_token=token)
        )
        found += [measurement.name for measurement in page.measurements]
        token = page.next_page_token
        if not token:
            break
    assert found == names


async def test_privacy_parameters_reach_the_duchies_as_they_were_signed(kingdom: World) -> None:
    measurement = kingdom.build()
    created = await kingdom.submit(measurement)
    system = await kingdom.duchies["worker2"].computation(computation_of(created))
    assert system.measurement_spec == signed_bytes(measurement.measurement_spec)
    wanted = MeasurementSpec.FromString(system.measurement_spec).reach_and_frequency.reach_privacy_params
    assert (wanted.epsilon, wanted.delta) == (PRIVACY.epsilon, PRIVACY.delta)
