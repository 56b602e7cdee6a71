"""What hostile parties put into a stage: the computation fails once, the reason names them, and nothing is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key

from gristmill import _native as native
from mill import pki, wires
from mill.computations import (
    CONFIRMATION,
    GENERATOR,
    ONE,
    SETUP,
    THREE,
    Keys,
    PublicElGamalKey,
    make_keys,
    public_key,
    put_sketch,
    token,
)
from mill.conftest import MILL, World
from mill.stand_ins import Leases
from mill.wires import BOTH, REACH_ONLY
from native.test_hostile_points import NO_POINTS, OFF_CURVE, points
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken

AT_THE_AGGREGATOR = pytest.mark.parametrize("world", ["aggregator"], indirect=True)
REGISTERS = points(18)
"""Three of Liquid Legions v2, or nine of the reach-only protocol."""


@pytest.fixture(scope="module")
def keys() -> Keys:
    return make_keys()


def reason(world: World, claimed: ComputationToken) -> str:
    """Run the stage; how it failed the computation, of which nothing else is left or was told to anybody."""
    details = claimed.computation_details.SerializeToString(deterministic=True)
    files = {path: path.read_bytes() for path in world.blobs.rglob("*") if path.is_file()}
    world.internal.add(claimed, owner=MILL, lock=300)
    world.run(claimed)
    assert world.journal.writes() == ["FailComputationParticipant", "FinishComputation"]
    (failed,), (finished,) = (world.journal.of(method) for method in world.journal.writes())
    assert finished.reason == ComputationDetails.FAILED
    assert world.wire.stage_of(claimed) == world.wire.complete
    claimed.computation_details.ending_state = 0  # type: ignore[assignment]
    assert claimed.computation_details.SerializeToString(deterministic=True) == details
    assert {path: path.read_bytes() for path in world.blobs.rglob("*") if path.is_file()} == files
    assert not any(peer.received for peer in world.peers.values())
    text: str = failed.failure.error_message
    assert str(world.directory) not in text
    assert text.startswith("GM-4")
    return text


def spoilt(world: World, fault: str) -> bytes:
    """Three registers, the second of which has this in it."""
    registers, at = REGISTERS[: 3 * world.wire.register], world.wire.register * 4 // 3
    return registers[:at] + NO_POINTS[fault] + registers[at + 33 :]


# Data


@BOTH
@pytest.mark.parametrize("fault", ["off the curve", "infinity", "x beyond the prime", "uncompressed", "no first byte"])
def test_no_points_of_a_data_provider_are_told_with_its_requisition(world: World, keys: Keys, fault: str) -> None:
    claimed = token(world, keys, SETUP)
    world.put("requisitions/LHdjUf0z6dc/req0", spoilt(world, fault))
    assert reason(world, claimed) == (
        "GM-4001: SETUP_PHASE: the data of requisition req0: record 1 has a point that is not one of P-256"
    )


@BOTH
def test_a_wrong_length_of_a_data_provider_is_told_with_its_requisition(world: World, keys: Keys) -> None:
    claimed = token(world, keys, SETUP)
    world.put("requisitions/LHdjUf0z6dc/req0", REGISTERS[:-1])
    assert reason(world, claimed).startswith("GM-4001: SETUP_PHASE: the data of requisition req0: ")


@AT_THE_AGGREGATOR
@BOTH
@pytest.mark.parametrize("sender", ["worker1", "worker2"])
def test_no_points_that_a_peer_gathers_in_are_told_with_its_name(world: World, keys: Keys, sender: str) -> None:
    claimed = token(world, keys, SETUP)
    for at, duchy in enumerate(("worker1", "worker2")):
        world.put(f"computations/in/{at}", spoilt(world, "infinity") if duchy == sender else REGISTERS)
    assert reason(world, claimed) == (
        f"GM-4001: SETUP_PHASE: the SETUP_PHASE_INPUT of {sender}: record 1 has a point that is not one of P-256"
    )


@pytest.mark.parametrize("fault", ["off the curve", "x is the prime"])
def test_no_points_of_the_duchy_before_are_told_with_its_name(world: World, keys: Keys, fault: str) -> None:
    claimed = token(world, keys, ONE)
    world.put("computations/in/0", spoilt(world, fault))
    assert reason(world, claimed) == (
        "GM-4001: EXECUTION_PHASE_ONE: the EXECUTION_PHASE_ONE_INPUT of aggregator: "
        "record 1 has a point that is not one of P-256"
    )


@AT_THE_AGGREGATOR
def test_keys_that_are_read_late_are_told_with_the_senders_name(world: World, keys: Keys) -> None:
    claimed = token(world, keys, ONE)
    world.put("computations/in/0", spoilt(world, "off the curve"))
    assert reason(world, claimed) == (
        "GM-4001: EXECUTION_PHASE_ONE: the EXECUTION_PHASE_ONE_INPUT of worker2: "
        "a record has a point that is not one of P-256"
    )


@AT_THE_AGGREGATOR
def test_half_a_row_of_the_matrix_is_told_with_the_senders_name(world: World, keys: Keys) -> None:
    claimed = token(world, keys, THREE)
    world.put("computations/in/0", points(6))  # three ciphertexts; a row has two
    assert "the EXECUTION_PHASE_THREE_INPUT of worker2: " in reason(world, claimed)


@AT_THE_AGGREGATOR
@pytest.mark.parametrize("wire", [REACH_ONLY])
@pytest.mark.parametrize("sent", [0, 65, 66 * 3 + 1])
def test_a_blob_without_room_for_its_excessive_noise_is_told_with_the_senders_name(
    world: World, keys: Keys, sent: int
) -> None:
    claimed = token(world, keys, SETUP)
    world.put("computations/in/0", REGISTERS[: 66 * 4])
    world.put("computations/in/1", REGISTERS[:sent])
    assert reason(world, claimed).startswith("GM-4001: SETUP_PHASE: the SETUP_PHASE_INPUT of worker2: ")


@AT_THE_AGGREGATOR
@pytest.mark.parametrize("wire", [REACH_ONLY])
def test_a_register_in_the_place_of_the_excessive_noise_fails_the_computation(world: World, keys: Keys) -> None:
    claimed = token(world, keys, 8)
    world.put("computations/in/0", REGISTERS[: 66 * 3])
    assert "excessive noise" in reason(world, claimed)


def test_a_ciphertext_of_infinity_is_bad_input_and_no_defect(world: World, keys: Keys) -> None:
    claimed = token(world, keys, ONE)
    to_infinity = GENERATOR + keys.pairs["worker1"][1]
    world.put("computations/in/0", REGISTERS + to_infinity + points(4))
    assert reason(world, claimed) == (
        "GM-4001: EXECUTION_PHASE_ONE: the EXECUTION_PHASE_ONE_INPUT of aggregator: "
        "record 3 decrypts to the point at infinity"
    )


def test_bad_input_is_not_tried_again_under_a_lease_either(world: World, keys: Keys, leases: Leases) -> None:
    claimed = token(world, keys, SETUP)
    world.put("requisitions/LHdjUf0z6dc/req0", spoilt(world, "off the curve"))
    assert "requisition req0" in reason(world, claimed)
    assert not {"PutBack", "RecordOutput"} & set(world.journal.methods())


# Confirmation


def key_of(claimed: ComputationToken, duchy: str) -> Any:
    participants = wires.of(claimed).details(claimed).participant
    return next(each for each in participants if each.duchy_id == duchy)


def sign(participant: Any, identity: pki.Identity, element: bytes, generator: bytes = GENERATOR) -> None:
    """Publish this element as the participant's, signed with the identity's key."""
    key = load_der_private_key(identity.signing_key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    serialized = PublicElGamalKey(generator=generator, element=element).SerializeToString()
    participant.el_gamal_public_key = serialized
    participant.el_gamal_public_key_signature = key.sign(serialized, ec.ECDSA(hashes.SHA256()))
    participant.public_key.CopyFrom(public_key(element))


def opposite(element: bytes) -> bytes:
    return bytes([element[0] ^ 1]) + element[1:]


Change = Callable[[World, Keys, ComputationToken], None]


def signed_element(element: bytes, **changes: bytes) -> Change:
    def change(world: World, keys: Keys, claimed: ComputationToken) -> None:
        sign(key_of(claimed, "worker2"), world.identities["worker2"], element, **changes)

    return change


def signed_by_another(world: World, keys: Keys, claimed: ComputationToken) -> None:
    sign(key_of(claimed, "worker2"), world.identities["aggregator"], keys.pairs["worker2"][1])


def with_anothers_certificate(world: World, keys: Keys, claimed: ComputationToken) -> None:
    signed_by_another(world, keys, claimed)
    der = world.identities["aggregator"].signing_cert.read_bytes()
    key_of(claimed, "worker2").duchy_certificate_der = der


def with_no_certificate(world: World, keys: Keys, claimed: ComputationToken) -> None:
    key_of(claimed, "worker2").duchy_certificate_der = b"\x30\x03abc"


def with_another_algorithm(world: World, keys: Keys, claimed: ComputationToken) -> None:
    key_of(claimed, "worker2").el_gamal_public_key_signature_algorithm_oid = "1.2.840.113549.1.1.11"


def with_another_hash(world: World, keys: Keys, claimed: ComputationToken) -> None:
    key_of(claimed, "worker2").el_gamal_public_key_signature_algorithm_oid = "1.2.840.10045.4.3.4"


def not_the_signed_one(world: World, keys: Keys, claimed: ComputationToken) -> None:
    key_of(claimed, "worker2").public_key.CopyFrom(public_key(keys.pairs["aggregator"][1]))


def cancelling_out(world: World, keys: Keys, claimed: ComputationToken) -> None:
    others = native.combine_public_keys([keys.pairs[duchy][1] for duchy in ("worker1", "aggregator")])
    sign(key_of(claimed, "worker2"), world.identities["worker2"], opposite(others))


def another_as_ours(world: World, keys: Keys, claimed: ComputationToken) -> None:
    sign(key_of(claimed, "worker1"), world.identities["worker1"], keys.pairs["aggregator"][1])


def one_is_missing(world: World, keys: Keys, claimed: ComputationToken) -> None:
    del world.wire.details(claimed).participant[1]


def one_is_there_twice(world: World, keys: Keys, claimed: ComputationToken) -> None:
    participants = world.wire.details(claimed).participant
    participants[0].CopyFrom(participants[1])


def we_are_missing(world: World, keys: Keys, claimed: ComputationToken) -> None:
    del world.wire.details(claimed).participant[0]


def one_is_unknown(world: World, keys: Keys, claimed: ComputationToken) -> None:
    key_of(claimed, "worker2").duchy_id = "worker9"


def one_requisition_is_missing(world: World, keys: Keys, claimed: ComputationToken) -> None:
    del claimed.requisitions[1]


def one_requisition_is_there_twice(world: World, keys: Keys, claimed: ComputationToken) -> None:
    claimed.requisitions[1].details.nonce = claimed.requisitions[0].details.nonce


def one_requisition_more(world: World, keys: Keys, claimed: ComputationToken) -> None:
    claimed.requisitions.add().details.nonce = 5


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (signed_by_another, "signature of the ElGamal key of duchy worker2 is wrong"),
        (with_anothers_certificate, "certificate of duchy worker2"),
        (with_no_certificate, "certificate of duchy worker2 is not a DER certificate"),
        (with_another_algorithm, "'1.2.840.113549.1.1.11', which does not fit"),
        (with_another_hash, "signature of the ElGamal key of duchy worker2 is wrong"),
        (not_the_signed_one, "key of duchy worker2 is not the one that it signed"),
        (signed_element(b"\x00"), "ElGamal key of duchy worker2 is not a compressed point"),
        (signed_element(bytes(33)), "ElGamal key of duchy worker2 is not a compressed point"),
        (signed_element(b""), "ElGamal key of duchy worker2 is not a compressed point"),
        (signed_element(OFF_CURVE), "ElGamal key of duchy worker2 is not on the curve"),
        (signed_element(NO_POINTS["x is the prime"]), "ElGamal key of duchy worker2 is not on the curve"),
        (signed_element(NO_POINTS["x beyond the prime"]), "ElGamal key of duchy worker2 is not on the curve"),
        (signed_element(GENERATOR, generator=opposite(GENERATOR)), "duchy worker2 is not for the curve P-256"),
        (cancelling_out, "cannot be combined"),
        (another_as_ours, "another ElGamal key as this duchy's"),
        (one_is_missing, "2 duchies take part, and 3 were announced"),
        (one_is_there_twice, "worker2, worker2, aggregator are no ring"),
        (we_are_missing, "worker2, aggregator are no ring in which worker1"),
        (one_is_unknown, "duchy worker9 takes part, but is not in the duchy info file"),
        (one_requisition_is_missing, "the nonces of 1 requisitions are not the 2"),
        (one_requisition_is_there_twice, "the nonces of 2 requisitions are not the 2"),
        (one_requisition_more, "the nonces of 3 requisitions are not the 2"),
    ],
)
def test_a_confirmation_of_what_is_wrong_fails_and_confirms_nothing(
    world: World, keys: Keys, change: Change, told: str
) -> None:
    claimed = token(world, keys, CONFIRMATION)
    change(world, keys, claimed)
    assert told in reason(world, claimed)
    assert not world.wire.details(claimed).combined_public_key.element


def test_a_sketch_of_points_is_taken(world: World, keys: Keys) -> None:
    """So that it was what is wrong that was refused."""
    claimed = token(world, keys, SETUP)
    put_sketch(world, keys, claimed)
    world.internal.add(claimed, owner=MILL, lock=300)
    world.run(claimed)
    assert len(world.peers["aggregator"].received) == 1
