"""Everything that goes wrong in Gristmill, and what happens next.

One tree. A class is a code; its docstring says for people what it means, whether it is retried, who acts, and the cure.
docs/errors.md is made of these docstrings (tools/errors.py). A code is never given a second meaning.

    GristmillError                code, what happened, to what, and the cure
    ├── ConfigurationError        GM-1...: the process stops before it starts (exit 2)
    ├── Refused                   GM-2...: a caller asked for something that is not allowed; nothing was changed
    ├── Transient                 GM-30..: retried in place, then put back in the queue
    ├── PeerBehind                GM-31..: retried for a day, not counted as a failure
    ├── PermanentFailure          GM-4...: the computation cannot succeed; it is failed here and at the kingdom
    ├── LeaseLost, Stalled        GM-5...: a worker stops
    └── PartyFailed               GM-6...: a process of a consortium on this machine
"""

from __future__ import annotations

import errno
from enum import Enum
from typing import ClassVar


class Reaction(Enum):
    """What the one who meets an error does next."""

    STOP_PROCESS = "stop the process"
    REFUSE = "answer the caller with the error's status"
    RETRY = "retry in place, then put the stage back"
    WAIT_FOR_PEER = "put the stage back without counting a failure"
    FAIL_COMPUTATION = "fail the computation and tell the kingdom"
    STOP_WORKER = "stop working on this stage and write nothing"


class GristmillError(Exception):
    """A process failed in a way that has no code of its own.

    Retried: by whoever called, if at all.
    Who acts: the operator of the process.
    Cure: its log has the reason, with the computation and the stage; if it is a defect, report it.
    """

    code: ClassVar[str] = "GM-0000"
    reaction: ClassVar[Reaction] = Reaction.FAIL_COMPUTATION
    status: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, *, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def described(self) -> dict[str, str]:
        """For JSON."""
        return {"code": self.code, "message": self.message, "cure": self.cure}

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" Cure: {self.cure}" if self.cure else "")


class ConfigurationError(GristmillError):
    """A flag is missing, contradicts another, or has a value that cannot be.

    Retried: no; the process ends with exit code 2 before it has changed anything.
    Who acts: whoever starts the process.
    Cure: correct the flag that the message names; `--help` lists all of them.
    """

    code = "GM-1000"
    reaction = Reaction.STOP_PROCESS
    status = "FAILED_PRECONDITION"


class FileUnusable(ConfigurationError):
    """A file or directory that a flag names is missing, cannot be read or written, or is not what it should be.

    Retried: no; the process ends with exit code 2.
    Who acts: whoever starts the process.
    Cure: check the path, who may read it, and that it holds what the flag asks for.
    """

    code = "GM-1001"


class FileExposed(ConfigurationError):
    """A key file, or a directory with secrets, is open to other users or belongs to one.

    Retried: no; the process ends with exit code 2.
    Who acts: whoever starts the process.
    Cure: `chmod` or `chown` it as the message says; if others may have read a key, replace the key.
    """

    code = "GM-1002"


class IdentityUnusable(ConfigurationError):
    """A certificate, its key or the bundle of roots cannot be used: unreadable, not belonging together, a root
    missing or doubled, or a development root where none is allowed.

    Retried: no; the process ends with exit code 2. A process that runs keeps its old pair.
    Who acts: whoever starts the process.
    Cure: give the certificate and key that were issued together, and every party's own root in
        `--cert-collection-file`.
    """

    code = "GM-1003"


class KeysetUnusable(ConfigurationError):
    """A Tink keyset is not of the kind that is needed, or not the one under which a computation was sealed.

    Retried: a process that starts ends with exit code 2; in a running one the call fails.
    Who acts: the operator of this duchy.
    Cure: give the binary keyset that was in use when the computation was created; a rotated keyset keeps its
        old keys.
    """

    code = "GM-1004"


class EventsInvalid(ConfigurationError):
    """An events file is missing, empty, lacks a column or the chosen events, or has a broken line, ID or time.

    Retried: no; nothing is started or sent.
    Who acts: whoever gives the file.
    Cure: mend the line or the flag that the message names.
    """

    code = "GM-1005"


class SketchTooSmall(ConfigurationError):
    """The sketch has too few registers for the people in the events: its estimate would be worthless.

    Retried: no; nothing is started.
    Who acts: whoever asks for the measurement.
    Cure: ask with the size, or the sampling, that the message gives.
    """

    code = "GM-1006"


class AddressTaken(ConfigurationError):
    """A port cannot be bound: another process has it, or this user may not.

    Retried: no; the process ends with exit code 2.
    Who acts: whoever starts the process.
    Cure: choose another port, or end the process that has it.
    """

    code = "GM-1007"


class DatabaseUnusable(ConfigurationError):
    """The database's address is malformed, or its file cannot be opened or made.

    Retried: no; the process ends with exit code 2.
    Who acts: whoever starts the process.
    Cure: correct the database flags; give this user the right to write in the directory.
    """

    code = "GM-1008"


class ServiceRefusesUs(ConfigurationError):
    """A service that this process lives on refuses it for good: an unknown certificate, another duchy's name,
    not that service.

    Retried: no; the process ends with exit code 2.
    Who acts: the operator of this duchy.
    Cure: compare `--tls-cert-file`, `--duchy-name` and the target with what the other party has on record.
    """

    code = "GM-1009"


class ParticipantUnknown(ConfigurationError):
    """A duchy takes part in the computation, but this mill's duchy info file or targets lack it.

    Retried: yes, the stage is put back, as other mills may know it; it counts as a failure.
    Who acts: the operator of this duchy.
    Cure: add it to the duchy info file and give its `--duchy-computation-control-target`, then `gristmill
        computations retry`.
    """

    code = "GM-1010"


class Refused(GristmillError):
    """A call was refused; nothing was changed.

    Retried: no.
    Who acts: the caller.
    Cure: the message says what was wrong with the call.
    """

    code = "GM-2000"
    reaction = Reaction.REFUSE
    status = "FAILED_PRECONDITION"


class InvalidRequest(Refused):
    """A field of a request is missing, malformed or out of range, or an upload differs from what was announced.

    Retried: no.
    Who acts: the caller.
    Cure: correct the field that the message names and call again.
    """

    code = "GM-2001"
    status = "INVALID_ARGUMENT"


class Unauthenticated(Refused):
    """The caller's certificate is missing, malformed, expired, or of no known party.

    Retried: no.
    Who acts: the caller; the operator, if the party is new.
    Cure: call with a valid certificate of a party that the configuration knows; add a new party's root and
        entry.
    """

    code = "GM-2002"
    status = "UNAUTHENTICATED"


class PermissionDenied(Refused):
    """The caller is known, and may not do this: another's requisition, another's message, another's
    computation.

    Retried: no.
    Who acts: the caller.
    Cure: check which party's certificate and name are used.
    """

    code = "GM-2003"
    status = "PERMISSION_DENIED"


class NotFound(Refused):
    """There is no such computation, requisition or blob here.

    Retried: no.
    Who acts: the caller.
    Cure: check the ID, and that this is the right duchy; it may have been purged.
    """

    code = "GM-2004"
    status = "NOT_FOUND"


class AlreadyExists(Refused):
    """It exists already.

    Retried: no; the herald takes it for done.
    Who acts: nobody.
    Cure: none is needed after a repeat; else use another ID.
    """

    code = "GM-2005"
    status = "ALREADY_EXISTS"


class PreconditionFailed(Refused):
    """The computation's stage or records do not allow this: it has ended, is past it, or lacks something.

    Retried: no.
    Who acts: the caller.
    Cure: look at it with `gristmill computations show`; the message says what is lacking.
    """

    code = "GM-2006"
    status = "FAILED_PRECONDITION"


class Conflict(Refused):
    """Somebody else wrote first, or it is too early.

    Retried: yes, by mills, heralds and peers, after reading again.
    Who acts: the caller.
    Cure: read again, then decide again.
    """

    code = "GM-2007"
    status = "ABORTED"


class Transient(GristmillError):
    """Something that may be over soon.

    Retried: yes: in place for `--retry-window`, then the stage is put back with growing delays, up to
        `--maximum-attempts` failures.
    Who acts: nobody, unless it stays.
    Cure: find out what does not answer.
    """

    code = "GM-3000"
    reaction = Reaction.RETRY
    status = "UNAVAILABLE"


class Unavailable(Transient):
    """A service or the network did not answer, or not in time.

    Retried: yes, as GM-3000.
    Who acts: the operator of the service, if it stays.
    Cure: check that it runs and can be reached from here: target, certificates, network.
    """

    code = "GM-3001"


class BlobUnavailable(Transient):
    """The blob store did not answer, or could not read or write.

    Retried: yes, as GM-3000; no part of a blob stays behind.
    Who acts: the operator of this duchy.
    Cure: check the storage directory or server, its mounts and permissions.
    """

    code = "GM-3002"


class DatabaseUnavailable(Unavailable):
    """The database did not answer, or gave a transaction up; nothing of it was kept.

    Retried: yes, as GM-3000.
    Who acts: the operator of this duchy.
    Cure: look at the database: is it up, reachable, out of connections or of room?
    """

    code = "GM-3003"


class StorageFull(BlobUnavailable):
    """A disk is full, or a quota or a limit on the size of files is reached.

    Retried: yes, as GM-3000; nothing was recorded.
    Who acts: the operator of this duchy.
    Cure: make room; then `gristmill computations retry`, or wait for the next attempt.
    """

    code = "GM-3004"


class Unfinished(Unavailable):
    """A measurement did not end in the time that its consumer gave it; it goes on.

    Retried: no.
    Who acts: the measurement consumer; then the operator of the duchy that the others wait for.
    Cure: wait longer; `gristmill computations show ID --peers` tells who owes what.
    """

    code = "GM-3005"


class PeerBehind(GristmillError):
    """The receiving duchy is not at the stage that takes this message yet.

    Retried: yes, for a day, not counted as a failure; then the computation fails.
    Who acts: nobody; the other duchy's operator, if it stays.
    Cure: `gristmill computations show ID --peers` tells where it is; ask its operator.
    """

    code = "GM-3100"
    reaction = Reaction.WAIT_FOR_PEER
    status = "UNAVAILABLE"


class PeerUnreachable(PeerBehind):
    """The receiving duchy does not answer, or takes nothing.

    Retried: yes, for a day, less and less often; then the computation fails.
    Who acts: the other duchy's operator, and this one's for the network.
    Cure: check that it runs and can be reached from the mills: target, certificates, network.
    """

    code = "GM-3101"


class PermanentFailure(GristmillError):
    """The computation cannot succeed, for a reason without a code of its own.

    Retried: no; it is failed here and at the kingdom.
    Who acts: the operator of this duchy.
    Cure: the message says what is wrong; mend it, then measure anew.
    """

    code = "GM-4000"
    reaction = Reaction.FAIL_COMPUTATION
    status = "FAILED_PRECONDITION"


class BadInput(PermanentFailure):
    """Data of a peer, a data provider or the measurement consumer are malformed: not a point, a wrong length,
    no such message.

    Retried: no; the computation is failed.
    Who acts: the party that sent them: the message names the duchy, or the requisition, and the stage.
    Cure: ask that party; its software or its storage is at fault.
    """

    code = "GM-4001"
    status = "INVALID_ARGUMENT"


class BlobCorrupt(PermanentFailure):
    """A blob has another length or SHA-256 than was recorded.

    Retried: no; the computation is failed.
    Who acts: the operator of this duchy.
    Cure: check the storage for faults and for other writers; then measure anew.
    """

    code = "GM-4002"
    status = "DATA_LOSS"


class ParticipationInvalid(PermanentFailure):
    """Consent signaling failed: a signature, certificate, nonce, fingerprint or key of a party is wrong.

    Retried: no; the computation is failed.
    Who acts: the party that the message names.
    Cure: compare its certificate and key with what the kingdom and this duchy's configuration have; then
        measure anew.
    """

    code = "GM-4003"


class ResultInvalid(PermanentFailure):
    """A result that cannot be: a negative reach, or frequencies that do not sum to 1.

    Retried: no; the computation is failed.
    Who acts: the operators of all duchies.
    Cure: measure anew; if it happens again, report it with the parameters.
    """

    code = "GM-4004"
    status = "INTERNAL"


class AttemptsExhausted(PermanentFailure):
    """A stage failed, lost its worker or ran out of memory too often.

    Retried: no; the computation is failed.
    Who acts: the operator of this duchy.
    Cure: `gristmill computations events` has the reason of every attempt: mend that (memory, disk, peers), then
        measure anew.
    """

    code = "GM-4005"


class ComputationUnsupported(PermanentFailure):
    """The kingdom asks for a protocol, measurement type or parameter that this duchy cannot compute.

    Retried: no; the computation is refused at its creation.
    Who acts: the operators of the kingdom and of this duchy.
    Cure: compare the protocols setup configuration with the kingdom's; use a version that supports it.
    """

    code = "GM-4006"


class KingdomContradicts(PermanentFailure):
    """What the kingdom says of a computation contradicts what it said before, or this duchy's configuration:
    participants, aggregator, requisitions, keys.

    Retried: no; the computation is failed.
    Who acts: the operators of the kingdom and of this duchy.
    Cure: compare who is the aggregator in the protocols setup configurations of all parties.
    """

    code = "GM-4007"


class PeerRefused(PermanentFailure):
    """The receiving duchy refused a message for good.

    Retried: no; the computation is failed.
    Who acts: the operators of both duchies.
    Cure: the message has its answer: certificates, names or versions differ.
    """

    code = "GM-4008"


class RecordIncomplete(PermanentFailure):
    """This duchy's own records lack something that an earlier stage kept: a blob, a secret, the reach.

    Retried: no; the computation is failed.
    Who acts: the operator of this duchy.
    Cure: was something deleted, or an old backup restored? Measure anew.
    """

    code = "GM-4009"


class NothingToSend(PermanentFailure):
    """A stage made an empty output: no register is in the sketches.

    Retried: no; the computation is failed.
    Who acts: the measurement consumer.
    Cure: measure more events, or with a privacy budget that adds noise.
    """

    code = "GM-4010"


class MeasurementFailed(PermanentFailure):
    """The kingdom says that the measurement has failed or was canceled.

    Retried: no.
    Who acts: the measurement consumer, then the party that the message names.
    Cure: the message has the kingdom's reason; mend it, then measure anew.
    """

    code = "GM-4011"


class ServiceFault(PermanentFailure):
    """A service answered a mill with a status that no retry mends: an internal error, or data lost.

    Retried: no; the computation is failed.
    Who acts: the operator of that service.
    Cure: its log has the reason.
    """

    code = "GM-4012"


class SealBroken(BlobCorrupt):
    """A sealed column of the database does not open: it was changed, or moved from another row.

    Retried: no.
    Who acts: the operator of this duchy.
    Cure: find out who writes to the database; restore the row from a backup, or measure anew.
    """

    code = "GM-4013"


class CryptographyFault(PermanentFailure):
    """The native core failed inside: a defect.

    Retried: no; the computation is failed.
    Who acts: the maintainers.
    Cure: report it with the stage and the message, which has no secrets.
    """

    code = "GM-4014"


class LeaseLost(GristmillError):
    """Another mill works on the stage, an operator took it back, or the computation has ended: this mill writes
    nothing more.

    Retried: by the mill that has it now.
    Who acts: nobody.
    Cure: none is needed; if it happens often, look for paused or overloaded mills.
    """

    code = "GM-5001"
    reaction = Reaction.STOP_WORKER
    status = "ABORTED"


class Stalled(GristmillError):
    """A stage made no progress for `--stall-timeout`; it was given up.

    Retried: yes, the stage is put back; it counts as a failure.
    Who acts: the operator of this duchy.
    Cure: look at the host's load, memory and disk, and at the peer that was being sent to.
    """

    code = "GM-5002"
    reaction = Reaction.RETRY
    status = "ABORTED"


class PartyFailed(GristmillError):
    """A process of a consortium on this machine ended, or never became ready.

    Retried: no.
    Who acts: whoever started the consortium.
    Cure: read the end of its log in the message, mend what it says, start again.
    """

    code = "GM-6001"
    reaction = Reaction.STOP_PROCESS
    status = "UNAVAILABLE"


NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says when a disk is full, or a quota or a limit on the size of files is reached."""
MAKE_ROOM = "Make room on the disk, or raise the quota or limit."
