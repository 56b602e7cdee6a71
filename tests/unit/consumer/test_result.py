"""What a consumer believes of a result."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from gristmill.consumer.keys import ConsumerKeys
from gristmill.consumer.request import MeasurementRequest, Privacy, build
from gristmill.consumer.result import SketchSize, VectorSize, open_result
from gristmill.errors import BadInput, ParticipationInvalid, ResultInvalid
from gristmill.kingdom.protocol import LiquidLegionsParameters, choose
from gristmill.kingdom.share_shuffle import ShareShuffleParameters
from gristmill.trust.development import DevelopmentKeys, Party, make
from gristmill.trust.hybrid import encrypt_message
from gristmill.trust.signatures import Signer, signed_bytes
from wfa.measurement.api.v2alpha.certificate_pb2 import Certificate
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec

REQUEST = MeasurementRequest((), reach=Privacy(1, 1e-5), frequency=Privacy(2, 1e-6), maximum_frequency=3)


@pytest.fixture(scope="module", params=["HPKE", "ECIES"])
def keys(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DevelopmentKeys:
    from gristmill.trust import hybrid

    directory: Path = tmp_path_factory.mktemp("consumer") / "keys"
    return make(
        directory,
        duchies=["worker1", "worker2", "aggregator"],
        data_providers=["edp1", "edp2"],
        encryption=getattr(hybrid, request.param),
    )


def a_result(reach: int = 2048, distribution: dict[int, float] | None = None) -> Measurement.Result:
    result = Measurement.Result()
    result.reach.value = reach
    result.frequency.relative_frequency_distribution.update(distribution or {1: 0.5, 2: 0.25, 3: 0.25})
    return result


def finished(
    keys: DevelopmentKeys,
    result: Measurement.Result,
    *,
    signer: str = "aggregator",
    named: str = "aggregator",
    shares: ShareShuffleParameters | None = None,
    reach_only: bool = False,
) -> tuple[Measurement, Certificate]:
    """A finished measurement whose result `signer` signed, and that names the certificate of `named`."""
    consumer = ConsumerKeys.of(keys)
    names = tuple(provider.name for provider in consumer.data_providers)
    request = dataclasses.replace(REQUEST, data_providers=names)
    measurement = build(dataclasses.replace(request, frequency=None) if reach_only else request, consumer)
    specification = MeasurementSpec.FromString(signed_bytes(measurement.measurement_spec))
    parameters = LiquidLegionsParameters(reach_only=reach_only)
    public, _ = choose(specification, parameters, shares, data_providers=2, duchies=3)
    measurement.protocol_config.CopyFrom(public)
    measurement.state = Measurement.SUCCEEDED
    party, claimed = keys.duchy(signer), keys.duchy(named)
    signed = Signer.read(certificate=party.signing_certificate_file, key=party.signing_key_file).sign_message(result)
    output = measurement.results.add(certificate=claimed.certificate)
    output.encrypted_result.CopyFrom(encrypt_message(signed, consumer.keyset.public_key))
    return measurement, certificate(claimed)


def certificate(party: Party) -> Certificate:
    return Certificate(name=party.certificate, x509_der=party.signing_certificate_file.read_bytes())


def test_a_signed_result_is_read_with_the_parameters_that_made_it(keys: DevelopmentKeys) -> None:
    result = open_result(*finished(keys, a_result()), ConsumerKeys.of(keys))
    assert (result.reach, dict(result.frequency)) == (2048, {1: 0.5, 2: 0.25, 3: 0.25})
    assert (result.counted_by, result.noise_mechanism) == (SketchSize(12.0, 100_000), "DISCRETE_GAUSSIAN")
    assert (result.reach_privacy, result.frequency_privacy) == ((1, 1e-5), (2, 1e-6))


@pytest.mark.parametrize(("of_reach", "of_frequency", "right"), [(500, 500, True), (500, 501, False), (0, 0, False)])
def test_a_result_of_shares_says_how_long_the_vectors_were(
    keys: DevelopmentKeys, of_reach: int, of_frequency: int, right: bool
) -> None:
    result = a_result()
    result.reach.honest_majority_share_shuffle.frequency_vector_size = of_reach
    result.frequency.honest_majority_share_shuffle.frequency_vector_size = of_frequency
    measurement, named = finished(keys, result, shares=ShareShuffleParameters())
    if right:
        opened = open_result(measurement, named, ConsumerKeys.of(keys))
        assert (opened.protocol, opened.counted_by) == ("honest_majority_share_shuffle", VectorSize(500))
        return
    with pytest.raises(ResultInvalid, match="size the frequency vectors had"):
        open_result(measurement, named, ConsumerKeys.of(keys))


@pytest.mark.parametrize("named", ["reach_only_liquid_legions_v2", "liquid_legions_v2"])
def test_a_result_of_reach_alone_is_read_whichever_protocol_an_existing_duchy_names(
    keys: DevelopmentKeys, named: str
) -> None:
    result = Measurement.Result()
    result.reach.value = 2048
    getattr(result.reach, named).SetInParent()
    opened = open_result(*finished(keys, result, reach_only=True), ConsumerKeys.of(keys))
    assert (opened.protocol, opened.reach, opened.frequency) == ("reach_only_liquid_legions_v2", 2048, {})
    assert (opened.counted_by, opened.reach_privacy) == (SketchSize(12.0, 100_000), (1, 1e-5))
    assert (opened.frequency_privacy, opened.maximum_frequency) == (None, 1)
    with pytest.raises(ResultInvalid, match="kind"):
        open_result(*finished(keys, a_result(), reach_only=True), ConsumerKeys.of(keys))


def test_a_result_that_another_duchy_signed_is_refused(keys: DevelopmentKeys) -> None:
    with pytest.raises(ParticipationInvalid, match="signature"):
        open_result(*finished(keys, a_result(), signer="worker1"), ConsumerKeys.of(keys))
    with pytest.raises(ParticipationInvalid, match="not by the aggregator"):
        open_result(*finished(keys, a_result(), signer="worker1", named="worker1"), ConsumerKeys.of(keys))


def test_a_certificate_that_the_aggregators_root_did_not_issue_is_refused(keys: DevelopmentKeys) -> None:
    measurement, named = finished(keys, a_result(), signer="worker1")
    named.x509_der = certificate(keys.duchy("worker1")).x509_der
    with pytest.raises(ParticipationInvalid, match="root"):
        open_result(measurement, named, ConsumerKeys.of(keys))


def test_a_revoked_certificate_is_refused(keys: DevelopmentKeys) -> None:
    measurement, named = finished(keys, a_result())
    named.revocation_state = Certificate.REVOKED
    with pytest.raises(ParticipationInvalid, match="revoked"):
        open_result(measurement, named, ConsumerKeys.of(keys))


def test_a_result_for_somebody_else_cannot_be_read(keys: DevelopmentKeys) -> None:
    measurement, named = finished(keys, a_result())
    measurement.results[0].encrypted_result.ciphertext = bytes(200)
    with pytest.raises(BadInput):
        open_result(measurement, named, ConsumerKeys.of(keys))


def test_a_specification_that_the_kingdom_has_exchanged_is_refused(keys: DevelopmentKeys) -> None:
    measurement, named = finished(keys, a_result())
    specification = MeasurementSpec.FromString(signed_bytes(measurement.measurement_spec))
    specification.vid_sampling_interval.width = 0.5
    measurement.measurement_spec.message.value = specification.SerializeToString()
    with pytest.raises(ParticipationInvalid, match="measurement specification"):
        open_result(measurement, named, ConsumerKeys.of(keys))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda result: setattr(result.reach, "value", -1),
        lambda result: result.ClearField("reach"),
        lambda result: result.ClearField("frequency"),
        lambda result: result.frequency.relative_frequency_distribution.update({3: 0.3}),
        lambda result: result.frequency.relative_frequency_distribution.update({3: -0.25, 2: 0.75}),
        lambda result: result.frequency.relative_frequency_distribution.update({3: 0.0, 4: 0.25}),
        lambda result: result.frequency.relative_frequency_distribution.update({3: float("nan")}),
    ],
)
def test_a_result_that_cannot_be_is_refused(keys: DevelopmentKeys, spoil: Callable[[Measurement.Result], None]) -> None:
    result = a_result()
    spoil(result)
    with pytest.raises(ResultInvalid):
        open_result(*finished(keys, result), ConsumerKeys.of(keys))
