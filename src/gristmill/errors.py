"""Everything that goes wrong in Gristmill, and what happens next.

    GristmillError                code, what happened, to what, and the cure
    ├── ConfigurationError        the process stops before it starts (exit 2)
    ├── Refused                   a caller asked for something that is not allowed; nothing was changed
    │   ├── InvalidRequest            INVALID_ARGUMENT
    │   ├── Unauthenticated           UNAUTHENTICATED
    │   ├── PermissionDenied          PERMISSION_DENIED
    │   ├── NotFound                  NOT_FOUND
    │   ├── AlreadyExists             ALREADY_EXISTS
    │   ├── PreconditionFailed        FAILED_PRECONDITION
    │   └── Conflict                  ABORTED: somebody else wrote first, or it is too early; read again
    ├── Transient                 retried in place, then put back in the queue
    │   ├── Unavailable               a service or the network did not answer
    │   └── BlobUnavailable           the blob store did not answer
    ├── PeerBehind                the receiving duchy is not there yet; retried for a day, not counted as a failure
    ├── PermanentFailure          the computation cannot succeed; it is failed here and at the kingdom
    │   ├── BadInput                  a peer's or data provider's data are malformed
    │   ├── BlobCorrupt               a blob differs from what was recorded
    │   ├── ParticipationInvalid      consent signaling: a signature, nonce or certificate is wrong
    │   └── ResultInvalid             a result that cannot be: negative reach, distribution that does not sum to 1
    ├── LeaseLost                 another mill works on it: stop, write nothing, report nothing
    ├── Stalled                   a stage made no progress: cancelled, its lease given up
    └── PartyFailed               a process of a consortium on this machine ended or never became ready

Every class has a stable code; the docs list them with their cures.
"""

from __future__ import annotations

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
    """An error for people: what happened, to what, and what to do about it."""

    code: ClassVar[str] = "GM-0000"
    reaction: ClassVar[Reaction] = Reaction.FAIL_COMPUTATION
    status: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, *, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" Cure: {self.cure}" if self.cure else "")


class ConfigurationError(GristmillError):
    code = "GM-1000"
    reaction = Reaction.STOP_PROCESS
    status = "FAILED_PRECONDITION"


class Refused(GristmillError):
    code = "GM-2000"
    reaction = Reaction.REFUSE
    status = "FAILED_PRECONDITION"


class InvalidRequest(Refused):
    code = "GM-2001"
    status = "INVALID_ARGUMENT"


class Unauthenticated(Refused):
    code = "GM-2002"
    status = "UNAUTHENTICATED"


class PermissionDenied(Refused):
    code = "GM-2003"
    status = "PERMISSION_DENIED"


class NotFound(Refused):
    code = "GM-2004"
    status = "NOT_FOUND"


class AlreadyExists(Refused):
    code = "GM-2005"
    status = "ALREADY_EXISTS"


class PreconditionFailed(Refused):
    code = "GM-2006"
    status = "FAILED_PRECONDITION"


class Conflict(Refused):
    code = "GM-2007"
    status = "ABORTED"


class Transient(GristmillError):
    code = "GM-3000"
    reaction = Reaction.RETRY
    status = "UNAVAILABLE"


class Unavailable(Transient):
    code = "GM-3001"


class BlobUnavailable(Transient):
    code = "GM-3002"


class PeerBehind(GristmillError):
    code = "GM-3100"
    reaction = Reaction.WAIT_FOR_PEER
    status = "UNAVAILABLE"


class PermanentFailure(GristmillError):
    code = "GM-4000"
    status = "FAILED_PRECONDITION"


class BadInput(PermanentFailure):
    code = "GM-4001"
    status = "INVALID_ARGUMENT"


class BlobCorrupt(PermanentFailure):
    code = "GM-4002"
    status = "DATA_LOSS"


class ParticipationInvalid(PermanentFailure):
    code = "GM-4003"


class ResultInvalid(PermanentFailure):
    code = "GM-4004"
    status = "INTERNAL"


class LeaseLost(GristmillError):
    code = "GM-5001"
    reaction = Reaction.STOP_WORKER
    status = "ABORTED"


class Stalled(GristmillError):
    code = "GM-5002"
    reaction = Reaction.RETRY
    status = "ABORTED"


class PartyFailed(GristmillError):
    code = "GM-6001"
    reaction = Reaction.STOP_PROCESS
    status = "UNAVAILABLE"
