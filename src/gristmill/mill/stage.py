"""One claimed stage from end to end: compute, keep, deliver, advance. What is kept is what every retry delivers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from gristmill.blobs import Digest, computation_key, digest_of, requisition_key
from gristmill.errors import (
    BlobUnavailable,
    NotFound,
    NothingToSend,
    ParticipationInvalid,
    PermanentFailure,
    PreconditionFailed,
    RecordIncomplete,
)
from gristmill.mill import actions, memory, results
from gristmill.mill.actions import translating
from gristmill.mill.claims import Claim, Output
from gristmill.mill.job import Found, Job, Services
from gristmill.mill.peers import Parcel
from gristmill.observe import metrics
from gristmill.observe.logs import logger
from gristmill.protocols import derive, registry
from gristmill.protocols.share_shuffle import name_aggregator
from gristmill.protocols.table import Need, Send, Wait, Work, sends
from wfa.measurement.internal.duchy.computation_blob_dependency_pb2 import INPUT, OUTPUT
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computations_service_pb2 import AdvanceComputationStageRequest

MISSING_BLOB_ATTEMPTS = 3
"""So often a blob that is not there may still come, in a store that is eventually consistent."""

log = logger("mill")


@dataclass(slots=True)
class Effort:
    """What an attempt cost, for the existing statistics (milliseconds, bytes)."""

    started: float = field(default_factory=time.monotonic)
    stats: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        self.stats[name] = self.stats.get(name, 0) + round(value)


def work(claim: Claim, services: Services, effort: Effort) -> None:
    """Do what is left to do of the claimed stage. Everything in it can be repeated."""
    job = _job(claim, services)
    effort.stats |= memory.figures()
    output = None
    if job.row.delivers is None:
        with translating(job):
            actions.of(job).acts[job.row.action](job)
    elif job.row.repeatable:
        _make_and_send(job, effort)
    else:
        output = _kept(job, effort)
        _deliver(job, output, effort)
    effort.add("stage_wall_clock_duration_ms", 1000 * (time.monotonic() - effort.started))
    claim.check()
    claim.api.create_stats(claim.token, effort.stats)
    _move_on(job, output)
    if output is not None and not _can_record(job):
        services.blobs.delete(computation_key(output.path))


def _can_record(job: Job) -> bool:
    """Whether what the stage makes can be kept for a retry. Where neither the wire nor the internal API has a place for
    it, a retry makes it anew, as existing mills do."""
    return job.claim.lease is not None or job.seat.protocol.output_blobs


def _job(claim: Claim, services: Services) -> Job:
    """The claimed row and this duchy's seat. PermanentFailure for a stage that is no work."""
    details = claim.token.computation_details
    try:
        seat = registry.seat_so_far(details, services.duchy)
    except PreconditionFailed as error:
        raise ParticipationInvalid(error.message, cure=error.cure) from error
    if services.share_shuffle is not None:
        seat = name_aggregator(seat, services.share_shuffle.aggregator)
    computation_type, number = registry.stage_of(claim.token.computation_stage)
    try:
        row = derive.row_of(seat, derive.stage_from_wire(seat.protocol, computation_type, number))
    except ValueError as error:
        raise PermanentFailure(f"the claimed stage is not one of this computation's: {error}") from error
    if not isinstance(row, Work):
        raise PermanentFailure(f"stage {number} was claimed, but there is nothing to do in it")
    return Job(claim, seat, row, services)


# Compute and keep


def _kept(job: Job, effort: Effort) -> Output:
    """What this stage makes: what was kept before or, if nothing was, what it makes now, kept."""
    kept = job.claim.kept()
    if kept is None:
        made = job.claim.made or _make(job, effort)
        if not _can_record(job):
            return made
        recorded = job.claim.record_output(_output_id(job), made)
        if recorded.path != made.path:
            job.services.blobs.delete(computation_key(made.path))
        return recorded
    if job.row.action in actions.of(job).find_reach and kept.reach is None:
        return _with_reach(job, kept, effort)
    return kept


def _make_and_send(job: Job, effort: Effort) -> None:
    """For what is the same every time: nothing is kept, and secrets in it stay no longer than they are sent."""
    send = sends(job.row)
    if send is None:
        raise PermanentFailure(f"{job.stage.name} makes something anew each time, but sends it to nobody")
    with _opened(job) as ready, job.services.blobs.write(computation_key(_new_path(job))) as scratch:
        _compute(ready, scratch.path, effort)
        _send(job, send, scratch.path, digest_of(scratch.path), effort)


def _make(job: Job, effort: Effort) -> Output:
    """Compute, and commit the output under a new path. It is not recorded yet."""
    path = _new_path(job)
    with _opened(job) as ready, job.services.blobs.write(computation_key(path)) as writer:
        found = _compute(ready, writer.path, effort)
        job.activity.begin("keeping the output")
        digest = writer.commit()
    if found.commitment:
        log.info("randomness committed", commitment=found.commitment.hex())
    job.claim.made = Output(path, digest, found.reach, found.commitment)
    return job.claim.made


def _with_reach(job: Job, kept: Output, effort: Effort) -> Output:
    """An output whose reach was lost between two writes: the same input gives the same reach again."""
    with _opened(job) as ready, job.services.blobs.write(computation_key(_new_path(job))) as scratch:
        found = _compute(ready, scratch.path, effort)
    if found.reach is not None:
        job.claim.update_details(registry.with_reach(job.token.computation_details, found.reach))
    return replace(kept, reach=found.reach)


def _compute(job: Job, output: Path, effort: Effort) -> Found:
    started, cpu = time.monotonic(), time.process_time()
    with translating(job):
        found = actions.of(job).computes[job.row.action](job, output)
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu
    effort.add("crypto_wall_clock_duration_ms", 1000 * seconds)
    effort.add("crypto_cpu_duration_ms", 1000 * cpu_seconds)
    metrics.cryptography_ran(
        registry.type_name(job.seat.protocol.number), job.stage.name, seconds=seconds, cpu_seconds=cpu_seconds
    )
    job.claim.check()
    return found


@contextmanager
def _opened(job: Job) -> Iterator[Job]:
    """The job with its files: blobs of the stage in order of their IDs, and this duchy's requisitions if it needs them.

    Length and hash are verified wherever they were recorded.
    """
    digests = {}
    if job.claim.lease is not None:
        digests = {each.path: Digest(each.length, each.sha256) for each in job.claim.lease.digests if each.sha256}
    job.activity.begin("reading")
    with ExitStack() as stack:

        def open_blob(key: str, recorded: str) -> Path:
            path = stack.enter_context(job.services.blobs.read(key, digests.get(recorded)))
            job.activity.move()
            return path

        with _missing_at_first(job):
            inputs = [open_blob(computation_key(path), path) for path in _input_paths(job)]
            requisitions = [open_blob(requisition_key(path), path) for path in _requisition_paths(job)]
        yield replace(job, inputs=tuple(inputs), requisitions=tuple(requisitions))


@contextmanager
def _missing_at_first(job: Job) -> Iterator[None]:
    """A blob that is not found may be found later: transient in the first attempts, then permanent."""
    try:
        yield
    except NotFound as error:
        if job.token.attempt > MISSING_BLOB_ATTEMPTS:
            raise RecordIncomplete(error.message) from error
        raise BlobUnavailable(error.message) from error


def _input_paths(job: Job) -> list[str]:
    paths = [blob.path for blob in sorted(job.token.blobs, key=_by_id) if blob.dependency_type == INPUT]
    expected = [blob for blob in derive.blobs(job.seat, job.stage) if blob.dependency is derive.Dependency.INPUT]
    if len(paths) != len(expected) or not all(paths):
        raise RecordIncomplete(f"{job.stage.name} has {len(paths)} input blobs instead of {len(expected)}")
    return paths


def _requisition_paths(job: Job) -> list[str]:
    if Need.REQUISITIONS not in job.row.needs:
        return []
    for requisition in job.own_requisitions:
        if not requisition.path:
            name = requisition.external_key.external_requisition_id
            raise RecordIncomplete(f"the requisition {name} was fulfilled here, but has no data")
    return [requisition.path for requisition in job.own_requisitions]


def _output_id(job: Job) -> int:
    """Of the stage's output blob; where the wire lists none, the one after those that it lists."""
    if not job.seat.protocol.output_blobs:
        return len(job.token.blobs)
    outputs = [blob.blob_id for blob in job.token.blobs if blob.dependency_type == OUTPUT]
    if len(outputs) != 1:
        raise RecordIncomplete(f"{job.stage.name} has {len(outputs)} output blobs instead of 1")
    return outputs[0]


def _new_path(job: Job) -> str:
    """A path that no other duchy, computation, stage, attempt or process of the same attempt writes to."""
    unique = f"{_output_id(job)}-{secrets.token_hex(4)}"
    return f"{job.services.duchy}/{job.claim.computation}/{job.stage.name}/{job.token.attempt}/{unique}"


def _by_id(blob: object) -> int:
    return int(blob.blob_id)  # type: ignore[attr-defined]


# Deliver


def _deliver(job: Job, output: Output, effort: Effort) -> None:
    """Send the kept bytes to the duchy that the table names, or hand the result to the kingdom."""
    send = sends(job.row)
    with ExitStack() as stack:
        with _missing_at_first(job):
            path = stack.enter_context(job.services.blobs.read(computation_key(output.path), output.digest))
        if send is not None:
            _send(job, send, path, output.digest or digest_of(path), effort)
            return
        reach = output.reach if output.reach is not None else registry.reach(job.token.computation_details)
        results.deliver(job, actions.of(job).result(job, path, reach))


def _send(job: Job, send: Send, path: Path, digest: Digest, effort: Effort) -> None:
    if not digest.length:
        raise NothingToSend(
            f"{job.stage.name} left nothing to send: no register is in the sketches",
            cure="Measure more events, or set a privacy budget with which noise is added.",
        )
    receiver = job.seat.recipient(send)
    parcel = Parcel(job.claim.computation, job.seat._replace(me=receiver), send.message, path, digest)
    job.claim.check()
    started = time.monotonic()
    if not job.services.peers.deliver(parcel, job.activity):
        return
    seconds = time.monotonic() - started
    effort.add("data_transmission_rpc_wall_clock_duration_ms", 1000 * seconds)
    effort.add("bytes_of_data_in_rpc", digest.length)
    type_name = registry.type_name(job.seat.protocol.number)
    metrics.output_sent(type_name, job.stage.name, duchy=receiver.duchy, seconds=seconds, length=digest.length)


# Advance


def _move_on(job: Job, output: Output | None) -> None:
    """Enter the next stage of the path, or end the computation here with success."""
    job.activity.begin("advancing")
    protocol, seat = job.seat.protocol, job.seat
    following = derive.transitions(protocol)[job.stage, seat.me.role]
    if following is protocol.complete:
        job.claim.finish(ComputationDetails.SUCCEEDED)
        return
    given = {}
    for blob_id, blob in enumerate(derive.blobs(seat, job.stage)):
        recorded = {each.blob_id: each.path for each in job.token.blobs}
        given[blob.content] = output.path if output and blob.content is job.stage else recorded.get(blob_id, "")
    blobs = derive.blobs(seat, following)
    waits = isinstance(derive.row_of(seat, following), Wait)
    Request = AdvanceComputationStageRequest  # noqa: N806
    job.claim.advance(
        Request(
            next_computation_stage=registry.wire_stage(protocol, following),
            input_blobs=[given[blob.content] for blob in blobs if blob.dependency is derive.Dependency.INPUT],
            outputBlobs=sum(blob.dependency is derive.Dependency.OUTPUT for blob in blobs),
            stage_details=registry.wire_stage_details(protocol, derive.stage_details(seat, following)),
            after_transition=Request.DO_NOT_ADD_TO_QUEUE if waits else Request.ADD_UNCLAIMED_TO_QUEUE,
        )
    )
