"""A computation's way through its states, and what is refused on the way."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest

from gristmill.proto.kingdom import measurements_pb2 as measurements
from gristmill.trust.consent import nonce_hash
from gristmill.trust.signatures import signed_bytes
from kingdom.actors import World, computation_of
from wfa.measurement.api.v2alpha import certificates_service_pb2 as certificates
from wfa.measurement.api.v2alpha import requisitions_service_pb2 as requisitions
from wfa.measurement.api.v2alpha.certificate_pb2 import Certificate
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.system.v1alpha import computation_participants_service_pb2 as participants
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant
from wfa.measurement.system.v1alpha.computation_pb2 import Computation


async def refused(call: object) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return caught.value.code()


async def fulfil_all(kingdom: World, computation: str) -> None:
    for provider in ("edp1", "edp2"):
        (requisition,) = await kingdom.listed(provider)
        name = f"{computation}/requisitions/{requisition.name.rpartition('/')[2]}"
        await kingdom.duchies["worker1"].fulfil(name, kingdom.nonce(provider, requisition), etag=requisition.etag)


def public_key(measurement: Measurement) -> bytes:
    return MeasurementSpec.FromString(signed_bytes(measurement.measurement_spec)).measurement_public_key.value


async def computing(kingdom: World) -> tuple[Measurement, str]:
    measurement = await kingdom.submit(kingdom.build())
    computation = computation_of(measurement)
    await kingdom.publish_all(computation)
    await fulfil_all(kingdom, computation)
    await kingdom.confirm_all(computation)
    return measurement, computation


async def test_a_computation_passes_all_states_in_their_order(kingdom: World) -> None:
    measurement = await kingdom.submit(kingdom.build())
    computation, duchy = computation_of(measurement), kingdom.duchies["worker1"]
    seen = [(await duchy.computation(computation)).state]
    await kingdom.publish_all(computation)
    seen.append((await duchy.computation(computation)).state)
    await fulfil_all(kingdom, computation)
    seen.append((await duchy.computation(computation)).state)
    await kingdom.confirm_all(computation)
    seen.append((await duchy.computation(computation)).state)
    await kingdom.duchies["aggregator"].set_result(computation, b"ciphertext", public_key(measurement))
    seen.append((await duchy.computation(computation)).state)
    assert seen == [
        Computation.PENDING_REQUISITION_PARAMS,
        Computation.PENDING_REQUISITION_FULFILLMENT,
        Computation.PENDING_PARTICIPANT_CONFIRMATION,
        Computation.PENDING_COMPUTATION,
        Computation.SUCCEEDED,
    ]


async def test_duchies_learn_nonces_certificates_and_the_fulfilling_duchy(kingdom: World) -> None:
    measurement = await kingdom.submit(kingdom.build())
    computation = computation_of(measurement)
    await kingdom.publish_all(computation)
    await fulfil_all(kingdom, computation)
    shown = await kingdom.duchies["aggregator"].computation(computation)
    specification = MeasurementSpec.FromString(shown.measurement_spec)
    assert {nonce_hash(one.nonce) for one in shown.requisitions} == set(specification.nonce_hashes)
    assert {one.fulfilling_computation_participant for one in shown.requisitions} == {
        f"{computation}/participants/worker1"
    }
    assert all(one.requisition_params.duchy_certificate_der for one in shown.computation_participants)


async def test_an_old_etag_is_answered_with_aborted_and_changes_nothing(kingdom: World) -> None:
    measurement = await kingdom.submit(kingdom.build())
    computation, duchy = computation_of(measurement), kingdom.duchies["worker1"]
    old = (await duchy.read(computation)).etag
    await duchy.publish(computation, etag=old)
    for other in ("worker2", "aggregator"):
        await kingdom.duchies[other].publish(computation)
    await fulfil_all(kingdom, computation)
    assert await refused(duchy.confirm(computation, etag=old)) is grpc.StatusCode.ABORTED
    assert (await duchy.read(computation)).state == ComputationParticipant.REQUISITION_PARAMS_SET


async def test_a_step_out_of_turn_is_a_failed_precondition(kingdom: World) -> None:
    computation = computation_of(await kingdom.submit(kingdom.build()))
    duchy = kingdom.duchies["worker1"]
    assert await refused(duchy.confirm(computation)) is grpc.StatusCode.FAILED_PRECONDITION
    await duchy.publish(computation)
    assert await refused(duchy.publish(computation)) is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_duchy_may_not_speak_for_another(kingdom: World) -> None:
    computation = computation_of(await kingdom.submit(kingdom.build()))
    one, other = kingdom.duchies["worker1"], kingdom.duchies["worker2"]
    stranger = type(one)(other.name, other.party, one.channel, other.key_pair)
    assert await refused(stranger.publish(computation)) is grpc.StatusCode.PERMISSION_DENIED


async def test_a_data_provider_may_not_call_the_system_api(kingdom: World) -> None:
    computation = computation_of(await kingdom.submit(kingdom.build()))
    one = kingdom.duchies["worker1"]
    provider = type(one)(one.name, one.party, kingdom.channels["edp1"], one.key_pair)
    assert await refused(provider.computation(computation)) is grpc.StatusCode.PERMISSION_DENIED


async def test_an_el_gamal_key_that_another_duchy_signed_is_refused(kingdom: World) -> None:
    computation = computation_of(await kingdom.submit(kingdom.build()))
    one, other = kingdom.duchies["worker1"], kingdom.duchies["worker2"]
    params = other.signed_key()
    params.duchy_certificate = one.party.certificate
    request = participants.SetParticipantRequisitionParamsRequest(name=one.own(computation), requisition_params=params)
    call = one.participants.SetParticipantRequisitionParams(request)
    assert await refused(call) is grpc.StatusCode.FAILED_PRECONDITION
    assert (await one.read(computation)).state == ComputationParticipant.CREATED


async def test_a_wrong_nonce_is_refused_and_a_fulfilled_requisition_stays_fulfilled(kingdom: World) -> None:
    computation = computation_of(await kingdom.submit(kingdom.build()))
    await kingdom.publish_all(computation)
    (requisition,) = await kingdom.listed("edp1")
    name = f"{computation}/requisitions/{requisition.name.rpartition('/')[2]}"
    duchy, right = kingdom.duchies["worker2"], kingdom.nonce("edp1", requisition)
    assert await refused(duchy.fulfil(name, right ^ 1)) is grpc.StatusCode.FAILED_PRECONDITION
    assert await refused(duchy.fulfil(name, 0)) is grpc.StatusCode.INVALID_ARGUMENT
    await duchy.fulfil(name, right)
    assert await refused(duchy.fulfil(name, right)) is grpc.StatusCode.FAILED_PRECONDITION
    assert await refused(duchy.fulfil(name, right, etag=requisition.etag)) is grpc.StatusCode.ABORTED


async def test_data_providers_see_a_requisition_only_with_every_duchys_key(kingdom: World) -> None:
    computation = computation_of(await kingdom.submit(kingdom.build()))
    await kingdom.duchies["worker1"].publish(computation)
    assert await kingdom.listed("edp1") == []
    for other in ("worker2", "aggregator"):
        await kingdom.duchies[other].publish(computation)
    (requisition,) = await kingdom.listed("edp1")
    assert {entry.key for entry in requisition.duchies} == {"duchies/worker1", "duchies/worker2", "duchies/aggregator"}


async def test_a_refused_requisition_fails_the_measurement_and_withdraws_the_others(kingdom: World) -> None:
    measurement = await kingdom.submit(kingdom.build())
    await kingdom.publish_all(computation_of(measurement))
    (requisition,) = await kingdom.listed("edp1")
    refusal = Requisition.Refusal(justification=Requisition.Refusal.DECLINED)
    await kingdom.requisitions("edp1").RefuseRequisition(
        requisitions.RefuseRequisitionRequest(name=requisition.name, refusal=refusal, etag=requisition.etag)
    )
    ended = await kingdom.get(measurement.name)
    assert (ended.state, ended.failure.reason) == (Measurement.FAILED, Measurement.Failure.REQUISITION_REFUSED)
    assert [one.state for one in await kingdom.listed("edp2")] == [Requisition.WITHDRAWN]


async def test_another_data_providers_requisition_does_not_exist(kingdom: World) -> None:
    await kingdom.publish_all(computation_of(await kingdom.submit(kingdom.build())))
    (requisition,) = await kingdom.listed("edp1")
    own_name = f"{kingdom.keys.data_provider('edp2').resource}/requisitions/{requisition.name.rpartition('/')[2]}"
    stub = kingdom.requisitions("edp2")
    get = stub.GetRequisition(requisitions.GetRequisitionRequest(name=requisition.name))
    assert await refused(get) is grpc.StatusCode.PERMISSION_DENIED
    get = stub.GetRequisition(requisitions.GetRequisitionRequest(name=own_name))
    assert await refused(get) is grpc.StatusCode.NOT_FOUND


async def test_a_revoked_certificate_fails_the_measurements_that_rely_on_it(kingdom: World) -> None:
    measurement = await kingdom.submit(kingdom.build())
    computation = computation_of(measurement)
    await kingdom.duchies["worker1"].publish(computation)
    own = kingdom.duchies["worker1"].party.certificate
    await kingdom.certificates("worker1").RevokeCertificate(
        certificates.RevokeCertificateRequest(name=own, revocation_state=Certificate.REVOKED)
    )
    ended = await kingdom.get(measurement.name)
    assert (ended.state, ended.failure.reason) == (Measurement.FAILED, Measurement.Failure.CERTIFICATE_REVOKED)
    second = computation_of(await kingdom.submit(kingdom.build()))
    assert await refused(kingdom.duchies["worker1"].publish(second)) is grpc.StatusCode.FAILED_PRECONDITION


async def test_nobody_revokes_another_partys_certificate(kingdom: World) -> None:
    call = kingdom.certificates("worker2").RevokeCertificate(
        certificates.RevokeCertificateRequest(
            name=kingdom.duchies["worker1"].party.certificate, revocation_state=Certificate.REVOKED
        )
    )
    assert await refused(call) is grpc.StatusCode.PERMISSION_DENIED


async def test_a_failed_participant_fails_the_measurement_once(kingdom: World) -> None:
    measurement = await kingdom.submit(kingdom.build())
    computation, duchy = computation_of(measurement), kingdom.duchies["worker2"]
    assert (await duchy.fail(computation)).state == ComputationParticipant.FAILED
    ended = await kingdom.get(measurement.name)
    assert ended.failure.reason == Measurement.Failure.COMPUTATION_PARTICIPANT_FAILED
    assert "worker2" in ended.failure.message
    assert await refused(duchy.fail(computation)) is grpc.StatusCode.FAILED_PRECONDITION


async def test_the_same_result_may_be_set_again_and_another_may_not(kingdom: World) -> None:
    measurement, computation = await computing(kingdom)
    aggregator, key = kingdom.duchies["aggregator"], public_key(measurement)
    first = await aggregator.set_result(computation, b"ciphertext", key)
    again = await aggregator.set_result(computation, b"ciphertext", key)
    assert first == again
    code = await refused(aggregator.set_result(computation, b"another", key))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    ended = await kingdom.get(measurement.name)
    assert [output.encrypted_result.ciphertext for output in ended.results] == [b"ciphertext"]


async def test_only_the_aggregator_sets_a_result_and_only_to_the_consumers_key(kingdom: World) -> None:
    measurement, computation = await computing(kingdom)
    key = public_key(measurement)
    worker, aggregator = kingdom.duchies["worker1"], kingdom.duchies["aggregator"]
    assert await refused(worker.set_result(computation, b"x", key)) is grpc.StatusCode.PERMISSION_DENIED
    assert await refused(aggregator.set_result(computation, b"x", b"")) is grpc.StatusCode.INVALID_ARGUMENT


async def test_no_result_before_the_computation_has_started(kingdom: World) -> None:
    measurement = await kingdom.submit(kingdom.build())
    call = kingdom.duchies["aggregator"].set_result(computation_of(measurement), b"x", public_key(measurement))
    assert await refused(call) is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_cancelled_measurement_is_over_for_everybody(kingdom: World) -> None:
    measurement = await kingdom.submit(kingdom.build())
    computation = computation_of(measurement)
    await kingdom.publish_all(computation)
    request = measurements.CancelMeasurementRequest(name=measurement.name)
    cancelled = await kingdom.measurements.CancelMeasurement(request)
    assert cancelled.state == Measurement.CANCELLED
    assert (await kingdom.measurements.CancelMeasurement(request)) == cancelled
    assert [one.state for one in await kingdom.listed("edp1")] == [Requisition.WITHDRAWN]
    assert (await kingdom.duchies["worker1"].computation(computation)).state == Computation.CANCELLED
