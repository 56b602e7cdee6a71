"""Share shuffle at a duchy's services: keys that are born with a computation, shares at the door, peers' messages."""

from __future__ import annotations

import argparse
from typing import Any

import grpc
import pytest

from duchy.conftest import Duchy, StartDuchy, eventually, refusal
from duchy.facts import ID
from duchy.mills import MILL, lease_metadata
from duchy.shares import (
    BODY,
    MODULUS,
    REGISTERS,
    SHARE,
    advance_share,
    claim_share,
    in_share_stage,
    peer_message,
    share_computation,
    share_header,
    share_requests,
    share_stage,
)
from duchy.stand_in import Kingdom
from duchy.state import state_of
from duchy.test_computation_control import send, token_of
from duchy.test_fulfillment import fulfill
from gristmill.blobs import LocalBlobs, private_key_key
from gristmill.cli import herald
from gristmill.cli.main import main
from gristmill.duchy import by_wire
from gristmill.duchy.async_computation_control import slot_of
from gristmill.duchy.key_pairs import Creator, KeyBlobs, draw_secrets
from gristmill.errors import (
    ComputationUnsupported,
    ConfigurationError,
    Conflict,
    PermissionDenied,
    PreconditionFailed,
)
from gristmill.proto.duchy.private_keys_pb2 import CreateComputationWithKeyRequest, GetPrivateKeysetRequest
from gristmill.proto.duchy.private_keys_pb2_grpc import PrivateKeysStub
from gristmill.protocols import registry
from gristmill.protocols.share_shuffle import Message, Stage
from gristmill.secret import Secret
from gristmill.trust.hybrid import PrivateKeyset, private_key_id
from gristmill.trust.key_encryption import KeyEncryption, new_key_encryption_keyset, rotate_keyset
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.internal.duchy import computations_service_pb2 as wire
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsStub
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

ONE, TWO, SUMS = (message.value for message in Message)


@pytest.fixture
async def first(start: StartDuchy, kingdom: Kingdom) -> Duchy:
    """worker1, the first non-aggregator, in INITIALIZED."""
    duchy = await start("worker1")
    kingdom.say(share_computation())
    await in_share_stage(duchy, Stage.INITIALIZED.value)
    return duchy


# Keys


async def keyset_of(duchy: Duchy, owner: str = MILL) -> PrivateKeyset:
    token = await token_of(duchy)
    metadata = dict(await lease_metadata(duchy, token, owner))
    request = GetPrivateKeysetRequest(
        global_computation_id=ID, fence=int(metadata["gristmill-fence"]), owner=metadata["gristmill-owner"]
    )
    response = await PrivateKeysStub(duchy.channel("internal_api")).GetPrivateKeyset(request)
    return PrivateKeyset(Secret(response.private_keyset))


async def test_a_worker_is_created_with_a_key_pair_whose_private_half_its_mill_gets(first: Duchy) -> None:
    details = (await claim_share(first)).computation_details.honest_majority_share_shuffle
    assert len(details.random_seed) == 48
    keyset = await keyset_of(first)
    assert details.encryption_key_pair.private_key_id == private_key_id(keyset.public_key)
    assert details.encryption_key_pair.public_key.data == keyset.public_key.data
    assert first.files("tink-private-key") == []


async def test_a_private_key_is_told_to_nobody_without_the_lease(first: Duchy) -> None:
    stub = PrivateKeysStub(first.channel("internal_api"))
    refused = await refusal(stub.GetPrivateKeyset(GetPrivateKeysetRequest(global_computation_id=ID, owner=MILL)))
    assert refused.code() is grpc.StatusCode.ABORTED


async def test_the_key_encryption_keyset_is_rotated_under_a_running_duchy(first: Duchy, kingdom: Kingdom) -> None:
    file = first.keys.duchy("worker1").key_encryption_keyset_file
    before = file.read_bytes()
    assert main(["keys", "rotate", str(file)]) == 0
    assert file.read_bytes() != before
    token = await claim_share(first)
    keyset = await keyset_of(first)
    pair = token.computation_details.honest_majority_share_shuffle.encryption_key_pair
    assert private_key_id(keyset.public_key) == pair.private_key_id
    later = share_computation()
    later.name = later.name.replace(ID, "later")
    for each in (*later.computation_participants, *later.requisitions):
        each.name = each.name.replace(ID, "later").replace("AAAAAAAAAA", "BBBBBBBBBB")
    kingdom.say(later)
    listed = wire.GetComputationIdsRequest(stages=[share_stage(Stage.INITIALIZED.value)])

    async def created() -> bool:
        response = await ComputationsStub(first.channel("internal_api")).GetComputationIds(listed)
        return "later" in response.global_ids

    await eventually(created)
    assert (await claim_share(first, "mill-2")).global_computation_id == "later"


async def test_a_keyset_that_is_not_the_details_own_creates_nothing(first: Duchy) -> None:
    stub = PrivateKeysStub(first.channel("internal_api"))
    request = CreateComputationWithKeyRequest(private_keyset=PrivateKeyset.generate().serialize().expose())
    request.computation.global_computation_id = "other"
    refused = await refusal(stub.CreateComputationWithKey(request))
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "not the private half" in refused.details()


async def test_what_is_heard_twice_keeps_the_first_key(first: Duchy, kingdom: Kingdom) -> None:
    before = (await token_of(first)).computation_details
    heard = len(kingdom.said)
    kingdom.say(share_computation())
    kingdom.say(share_computation(Computation.PENDING_COMPUTATION))
    await advance_share(first, Stage.WAIT_TO_START.value)
    await in_share_stage(first, Stage.SETUP_PHASE.value)
    assert len(kingdom.said) == heard + 2
    assert (await token_of(first)).computation_details == before
    assert kingdom.failures == []


class OldInternalApi:
    """One that keeps no private keys; `status` is what it says to CreateComputation."""

    def __init__(self, status: grpc.StatusCode | None = None) -> None:
        self.status, self.created = status, []  # type: ignore[var-annotated]

    def CreateComputation(self, request: Any, timeout: float) -> None:  # noqa: N802
        self.created.append(request)
        if self.status:
            raise Refused(self.status)

    def CreateComputationWithKey(self, request: Any, timeout: float) -> None:  # noqa: N802
        raise Refused(grpc.StatusCode.UNIMPLEMENTED)


class Refused(grpc.RpcError):
    def __init__(self, status: grpc.StatusCode) -> None:
        self._status = status

    def code(self) -> grpc.StatusCode:
        return self._status


def creation() -> Any:
    from duchy.test_share_shuffle_admission import setup
    from gristmill.duchy.creation import create_request

    return create_request("worker1", setup(), share_computation())


def test_beside_an_existing_internal_api_the_key_goes_sealed_into_blob_storage(tmp_path: Any) -> None:
    keyset, blobs, api = new_key_encryption_keyset(), LocalBlobs(tmp_path), OldInternalApi()
    Creator(api, api, KeyBlobs(blobs, KeyEncryption(keyset))).create(creation())  # type: ignore[arg-type]
    pair = api.created[0].computation_details.honest_majority_share_shuffle.encryption_key_pair
    (sealed,) = (tmp_path / "tink-private-key").iterdir()
    assert sealed.name == pair.private_key_id
    rotated = KeyEncryption(rotate_keyset(keyset))
    opened = PrivateKeyset(rotated.open_keyset(sealed.read_bytes()))
    assert opened.public_key.data == pair.public_key.data


def test_a_key_for_a_computation_that_is_there_already_is_removed_and_of_an_unknown_one_stays(tmp_path: Any) -> None:
    place = KeyBlobs(LocalBlobs(tmp_path), KeyEncryption(new_key_encryption_keyset()), always=True)
    for status, left in ((grpc.StatusCode.ALREADY_EXISTS, 0), (grpc.StatusCode.UNAVAILABLE, 1)):
        api = OldInternalApi(status)
        with pytest.raises(grpc.RpcError):
            Creator(api, api, place).create(creation())  # type: ignore[arg-type]
        assert len([*(tmp_path / "tink-private-key").iterdir()]) == left


async def test_a_key_in_blob_storage_goes_with_its_computation(first: Duchy) -> None:
    token = await token_of(first)
    pair = token.computation_details.honest_majority_share_shuffle.encryption_key_pair
    for key_id in (pair.private_key_id, "17"):
        with first.blobs.write(private_key_key(key_id)) as writer:
            writer.append(b"sealed")
            writer.commit()
    request = wire.DeleteComputationRequest(local_computation_id=token.local_computation_id)
    await ComputationsStub(first.channel("internal_api")).DeleteComputation(request)
    assert [path.name for path in first.files("tink-private-key")] == ["17"]


def test_without_a_place_for_the_key_nothing_is_created() -> None:
    api = OldInternalApi()
    with pytest.raises(ComputationUnsupported, match="keeps no private keys"):
        Creator(api, api).create(creation())  # type: ignore[arg-type]
    assert api.created == []


def test_a_herald_that_is_to_use_blob_storage_needs_a_keyset_and_a_place(tmp_path: Any) -> None:
    parser = argparse.ArgumentParser()
    herald.add_arguments(parser)
    required = ("tls-cert-file", "tls-key-file", "cert-collection-file", "protocols-setup-config")
    given = [*(f"--{name}={tmp_path / 'x'}" for name in required), "--duchy-name=worker1"]
    given += [
        "--computations-service-target=h:1",
        "--computations-service-cert-host=h",
        "--kingdom-system-api-target=h:1",
    ]
    arguments = parser.parse_args(given)
    nothing: Any = None
    assert herald._key_blobs(arguments, nothing) is None
    with pytest.raises(ConfigurationError, match="needs a keyset and a place"):
        herald._key_blobs(parser.parse_args([*given, "--private-keys-in-blob-storage"]), nothing)


# Shares


async def test_a_share_is_kept_and_its_seed_recorded(first: Duchy, kingdom: Kingdom) -> None:
    assert await fulfill(first, share_requests(share_header(first))) == Requisition.FULFILLED
    (kept,) = first.files("requisitions")
    assert kept.read_bytes() == BODY
    recorded = (await token_of(first)).requisitions[0].details.protocol.honest_majority_share_shuffle
    assert recorded.secret_seed_ciphertext == b"an encrypted seed"
    assert recorded.register_count == REGISTERS
    assert recorded.data_provider_certificate == first.keys.data_provider("edp1").certificate
    assert len(kingdom.fulfilled) == 1
    # Again, as after a lost answer: kept once, told once more.
    assert await fulfill(first, share_requests(share_header(first))) == Requisition.FULFILLED
    assert first.files("requisitions") == [kept]


async def test_shares_that_lie_are_refused_and_change_nothing(first: Duchy, kingdom: Kingdom) -> None:
    before = await state_of(first, kingdom)
    other = first.keys.data_provider("edp2").certificate
    no_protocol = share_header(first)
    no_protocol.ClearField("honest_majority_share_shuffle")
    trustee = share_header(first)
    trustee.trus_tee.data_format = trustee.trus_tee.FREQUENCY_VECTOR
    lies = {
        "header.honest_majority_share_shuffle is not set": share_requests(no_protocol),
        "header.honest_majority_share_shuffle is not": share_requests(trustee),
        "secret_seed is not set": share_requests(share_header(first, ciphertext=b"")),
        "longer than 65536 bytes": share_requests(share_header(first, ciphertext=bytes(70_000))),
        "register_count is 0": share_requests(share_header(first, register_count=0)),
        "register_count is -5": share_requests(share_header(first, register_count=-5)),
        "register_count is 1099511627776": share_requests(share_header(first, register_count=2**40)),
        "is another data provider's": share_requests(share_header(first, certificate=other)),
        "data_provider_certificate is not of the form": share_requests(share_header(first, certificate="duchies/x")),
        "is fulfilled at worker2, not at worker1": share_requests(share_header(first, 1)),
        "has only 302 bytes; 303 is the least": share_requests(share_header(first), BODY[:-1]),
        "has more than 303 bytes": share_requests(share_header(first), BODY + b"\x00"),
        f"an entry that is not less than the ring modulus {MODULUS}": share_requests(
            share_header(first), BODY[:-1] + bytes([MODULUS])
        ),
        "no FrequencyVector with as many entries": share_requests(share_header(first), b"\x0a\xad\x02" + SHARE),
        "no FrequencyVector with as many": share_requests(share_header(first), b"\x12\xac\x02" + SHARE, chunk=1),
    }
    for reason, requests in lies.items():
        refused = await refusal(fulfill(first, requests))
        assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT, (reason, refused.details())
        assert reason in refused.details()
        assert await state_of(first, kingdom) == before
    assert await fulfill(first, share_requests(share_header(first))) == Requisition.FULFILLED


async def test_no_share_is_taken_once_the_seeds_are_handed_over(first: Duchy, kingdom: Kingdom) -> None:
    await advance_share(first, Stage.WAIT_TO_START.value)
    kingdom.say(share_computation(Computation.PENDING_COMPUTATION))
    await in_share_stage(first, Stage.SETUP_PHASE.value)
    refused = await refusal(fulfill(first, share_requests(share_header(first))))
    assert refused.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "takes no data any more" in refused.details()


# The herald


async def test_a_start_that_comes_before_the_wait_is_remembered(first: Duchy, kingdom: Kingdom) -> None:
    """The existing herald advances with a stale token here, and needs another try."""
    kingdom.say(share_computation(Computation.PENDING_COMPUTATION))

    async def remembered() -> bool:
        return "fact recorded" in [event.kind for event in (await state_of(first, kingdom)).events]

    await eventually(remembered)
    assert (await token_of(first)).computation_stage == share_stage(Stage.INITIALIZED.value)
    await advance_share(first, Stage.WAIT_TO_START.value)
    await in_share_stage(first, Stage.SETUP_PHASE.value)
    assert kingdom.failures == []


async def test_a_kingdom_that_speaks_of_confirmation_contradicts_itself(first: Duchy, kingdom: Kingdom) -> None:
    kingdom.say(share_computation(Computation.PENDING_PARTICIPANT_CONFIRMATION))
    await in_share_stage(first, Stage.COMPLETE.value)
    (failure,) = kingdom.failures
    assert "HONEST_MAJORITY_SHARE_SHUFFLE has no state PENDING_PARTICIPANT_CONFIRMATION" in failure


# Peers


async def test_a_seed_that_comes_before_this_duchy_waits_is_kept(first: Duchy, kingdom: Kingdom) -> None:
    """worker2 may be through its setup before worker1 has recorded that it waits: no reason to fail."""
    await advance_share(first, Stage.WAIT_TO_START.value)
    early = await refusal(send(first, "worker2", peer_message(TWO)))
    assert early.code() is grpc.StatusCode.ABORTED
    kingdom.say(share_computation(Computation.PENDING_COMPUTATION))
    await in_share_stage(first, Stage.SETUP_PHASE.value)
    await send(first, "worker2", peer_message(TWO))
    token = await advance_share(first, Stage.WAIT_ON_SHUFFLE_INPUT_PHASE_TWO.value)
    assert token.computation_stage == share_stage(Stage.SHUFFLE_PHASE.value)
    (seeds,) = token.blobs
    assert (first.blob_root / "computations" / seeds.path).read_bytes() == b"a message"


async def test_a_repeated_message_overwrites_nothing(first: Duchy, kingdom: Kingdom) -> None:
    """Nor does the late repeat of one whose answer was lost: what was recorded stays as it is."""
    kingdom.say(share_computation(Computation.PENDING_COMPUTATION))
    await advance_share(first, Stage.WAIT_TO_START.value)
    await in_share_stage(first, Stage.SETUP_PHASE.value)
    await send(first, "worker2", peer_message(TWO))
    await send(first, "worker2", peer_message(TWO, b"another"))
    await advance_share(first, Stage.WAIT_ON_SHUFFLE_INPUT_PHASE_TWO.value)
    await send(first, "worker2", peer_message(TWO, b"yet another"))
    (kept,) = first.files("computations")
    assert kept.read_bytes() == b"a message"
    assert kept.relative_to(first.blob_root).parts[:3] == ("computations", "worker1", ID)


async def test_messages_of_the_wrong_sender_role_or_stage_are_refused(first: Duchy, kingdom: Kingdom) -> None:
    await advance_share(first, Stage.WAIT_TO_START.value)
    kingdom.say(share_computation(Computation.PENDING_COMPUTATION))
    await in_share_stage(first, Stage.SETUP_PHASE.value)
    before = await state_of(first, kingdom)
    for sender, description, code in (
        ("aggregator", TWO, grpc.StatusCode.PERMISSION_DENIED),
        ("worker2", ONE, grpc.StatusCode.FAILED_PRECONDITION),
        ("worker2", SUMS, grpc.StatusCode.FAILED_PRECONDITION),
        ("aggregator", SUMS, grpc.StatusCode.FAILED_PRECONDITION),
        ("worker2", 4, grpc.StatusCode.INVALID_ARGUMENT),
    ):
        refused = await refusal(send(first, sender, peer_message(description)))
        assert refused.code() is code, (sender, description, refused.details())
        assert await state_of(first, kingdom) == before


async def test_the_aggregator_takes_both_sums_in_any_order_and_each_once(start: StartDuchy, kingdom: Kingdom) -> None:
    duchy = await start("aggregator")
    kingdom.say(share_computation())
    await in_share_stage(duchy, Stage.INITIALIZED.value)
    await send(duchy, "worker2", peer_message(SUMS, b"of worker2"))
    await advance_share(duchy, Stage.WAIT_ON_AGGREGATION_INPUT.value)
    kingdom.say(share_computation(Computation.PENDING_COMPUTATION))
    await send(duchy, "worker2", peer_message(SUMS, b"once more"))
    assert (await token_of(duchy)).computation_stage == share_stage(Stage.WAIT_ON_AGGREGATION_INPUT.value)
    await send(duchy, "worker1", peer_message(SUMS, b"of worker1"))
    token = await token_of(duchy)
    assert token.computation_stage == share_stage(Stage.AGGREGATION_PHASE.value)
    bodies = [(duchy.blob_root / "computations" / blob.path).read_bytes() for blob in token.blobs]
    assert bodies == [b"of worker1", b"of worker2"]


def test_in_front_of_an_existing_store_the_slot_opens_with_the_wait() -> None:
    details = creation().computation_details
    seat = registry.seat(details, "worker1")
    assert seat is not None
    assert slot_of(seat, Stage.WAIT_ON_SHUFFLE_INPUT_PHASE_TWO, "worker2") == 0
    with pytest.raises(Conflict):
        slot_of(seat, Stage.SETUP_PHASE, "worker2")
    with pytest.raises(PermissionDenied):
        slot_of(seat, Stage.WAIT_ON_SHUFFLE_INPUT_PHASE_TWO, "aggregator")
    with pytest.raises(PreconditionFailed):
        slot_of(seat, Stage.SHUFFLE_PHASE, "worker2")


@pytest.mark.parametrize(
    ("stage", "entered"),
    [
        (Stage.INITIALIZED, [Stage.WAIT_TO_START, Stage.SETUP_PHASE]),
        (Stage.WAIT_TO_START, [Stage.SETUP_PHASE]),
        (Stage.SETUP_PHASE, []),
        (Stage.SHUFFLE_PHASE, []),
    ],
)
def test_in_front_of_an_existing_store_the_start_catches_up(stage: Stage, entered: list[Stage]) -> None:
    request = creation()
    draw_secrets(request.computation_details)
    store = OldStore()
    token = ComputationToken(computation_details=request.computation_details)
    token.computation_stage.CopyFrom(share_stage(stage.value))
    by_wire.started(store, token)  # type: ignore[arg-type]
    assert [each.next_computation_stage for each in store.advanced] == [share_stage(each.value) for each in entered]
    assert [each.outputBlobs for each in store.advanced] == [0] * len(entered)
    queued = [each.after_transition == each.ADD_UNCLAIMED_TO_QUEUE for each in store.advanced]
    assert queued == [each is Stage.SETUP_PHASE for each in entered]


class OldStore:
    def __init__(self) -> None:
        self.advanced: list[wire.AdvanceComputationStageRequest] = []

    def AdvanceComputationStage(self, request: Any, timeout: float) -> Any:  # noqa: N802
        self.advanced.append(request)
        token = ComputationToken()
        token.CopyFrom(request.token)
        token.computation_stage.CopyFrom(request.next_computation_stage)
        return wire.AdvanceComputationStageResponse(token=token)
