"""The refusals that callers tell apart by reason: google.rpc.ErrorInfo in the wire's domain.

`reason` is the name of a wfa.measurement.internal.duchy.ErrorCode, `metadata` what the wire says of it. Whoever serves
the store maps `error.status` to the gRPC status and adds an ErrorInfo where an error is an `Explained`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from gristmill.errors import AlreadyExists, Conflict, GristmillError, InvalidRequest, LeaseLost, NotFound
from gristmill.errors import PreconditionFailed as Precondition

DOMAIN = "wfa.measurement.internal.duchy.ErrorCode"


class Explained(GristmillError):
    """An error with a reason that programs can read."""

    reason: ClassVar[str]

    def __init__(self, message: str, *, cure: str = "", metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message, cure=cure)
        self.metadata = dict(metadata or {})


class ComputationNotFound(Explained, NotFound):
    reason = "COMPUTATION_NOT_FOUND"

    def __init__(self, key: str) -> None:
        super().__init__(f"there is no computation {key}", metadata={"computation_id": key})


class ComputationExists(Explained, AlreadyExists):
    reason = "COMPUTATION_ALREADY_EXISTS"

    def __init__(self, global_id: str) -> None:
        super().__init__(f"computation {global_id} exists", metadata={"global_computation_id": global_id})


class InitialStageInvalid(Explained, InvalidRequest):
    """The wire uses this reason for an invalid initial stage too."""

    reason = "COMPUTATION_INITIAL_STAGE_INVALID"


class VersionMismatch(Explained, Conflict):
    reason = "COMPUTATION_TOKEN_VERSION_MISMATCH"

    def __init__(self, computation: int, *, version: int, token_version: int) -> None:
        super().__init__(
            f"computation {computation} is at version {version}, the token at {token_version}",
            cure="Read the token again; somebody else has written.",
            metadata={
                "computation_id": str(computation),
                "version": str(version),
                "token_version": str(token_version),
            },
        )


class LeaseTaken(Explained, LeaseLost):
    """The lease is another's, or nobody's: ABORTED."""

    reason = "COMPUTATION_LOCK_OWNER_MISMATCH"

    def __init__(self, computation: int, *, expected_owner: str, actual_owner: str | None) -> None:
        super().__init__(
            f"{expected_owner or 'nobody'} does not hold the lease of computation {computation}: "
            f"{actual_owner or 'nobody'} does, or it was claimed anew",
            cure="Stop working on this stage.",
            metadata={
                "computation_id": str(computation),
                "expected_owner": expected_owner,
                "actual_owner": actual_owner or "none",
            },
        )


class ContinuationTokenMalformed(Explained, InvalidRequest):
    reason = "CONTINUATION_TOKEN_MALFORMED"


class ContinuationTokenInvalid(Explained, Precondition):
    """The token lies before the stored one."""

    reason = "CONTINUATION_TOKEN_INVALID"
