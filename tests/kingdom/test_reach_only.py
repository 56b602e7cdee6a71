"""How the kingdom prepares a measurement by reach-only Liquid Legions V2."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import pytest

from gristmill.trust.development import DevelopmentKeys
from kingdom.actors import World, computation_of, world
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.protocol_config_pb2 import ProtocolConfig
from wfa.measurement.system.v1alpha.computation_pb2 import Computation


@pytest.fixture
async def kingdom(keys: DevelopmentKeys, tmp_path: Path) -> AsyncIterator[World]:
    async with world(keys, tmp_path / "kingdom.sqlite", reach_only=True) as answering:
        yield answering


async def asked(kingdom: World) -> Measurement:
    """A measurement of reach alone."""
    return await kingdom.submit(kingdom.build(replace(kingdom.request, frequency=None)))


async def test_reach_alone_is_carried_by_it_and_everybody_is_told_sketch_and_noise(kingdom: World) -> None:
    measurement = await asked(kingdom)
    assert measurement.protocol_config.measurement_type == ProtocolConfig.REACH
    (protocol,) = measurement.protocol_config.protocols
    public = protocol.reach_only_liquid_legions_v2
    assert (public.sketch_params.decay_rate, public.sketch_params.max_size) == (10.0, 1000)
    assert (public.elliptic_curve_id, public.noise_mechanism) == (415, ProtocolConfig.DISCRETE_GAUSSIAN)
    computation = await kingdom.duchies["worker1"].computation(computation_of(measurement))
    system = computation.mpc_protocol_config.reach_only_liquid_legions_v2
    assert (system.sketch_params.decay_rate, system.sketch_params.max_size) == (10.0, 1000)
    assert system.mpc_noise.HasField("blinded_histogram_noise")
    assert system.mpc_noise.HasField("publisher_noise")
    assert system.noise_mechanism == Computation.MpcProtocolConfig.DISCRETE_GAUSSIAN


async def test_reach_and_frequency_is_not_carried_by_it(kingdom: World) -> None:
    measurement = await kingdom.submit(kingdom.build())
    assert measurement.protocol_config.protocols[0].WhichOneof("protocol") == "liquid_legions_v2"


async def test_data_providers_see_the_keys_of_its_duchies(kingdom: World) -> None:
    measurement = await asked(kingdom)
    await kingdom.publish_all(computation_of(measurement))
    (requisition,) = await kingdom.listed("edp1")
    shown = {entry.key: entry.value.reach_only_liquid_legions_v2 for entry in requisition.duchies}
    assert {key: signed.el_gamal_public_key.message.value for key, signed in shown.items()} == {
        f"duchies/{duchy.name}": duchy.signed_key().liquid_legions_v2.el_gamal_public_key
        for duchy in kingdom.duchies.values()
    }


async def test_a_key_for_liquid_legions_v2_is_refused(kingdom: World) -> None:
    measurement = await asked(kingdom)
    with pytest.raises(grpc.aio.AioRpcError, match="the protocol of this computation is reach_only") as caught:
        await kingdom.duchies["worker1"].publish(computation_of(measurement))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
