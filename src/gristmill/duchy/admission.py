"""The conditions under which a duchy takes part in a computation, for all protocols."""

from __future__ import annotations

from math import isfinite
from typing import Final

from gristmill.errors import ComputationUnsupported
from wfa.measurement.api.v2alpha.differential_privacy_pb2 import DifferentialPrivacyParams
from wfa.measurement.system.v1alpha.differential_privacy_pb2 import DifferentialPrivacyParams as SystemPrivacyParams

LEAST_EPSILON: Final = 1e-5


def require(condition: bool, what: str) -> None:
    """Raise ComputationUnsupported, which says `what`, unless the condition holds."""
    if not condition:
        raise ComputationUnsupported(f"the computation is refused: {what}")


def check_privacy(
    params: DifferentialPrivacyParams | SystemPrivacyParams, what: str, *, least: float = LEAST_EPSILON
) -> None:
    """Raise ComputationUnsupported if no noise could be drawn with these parameters."""
    require(isfinite(params.epsilon) and params.epsilon > 0 and params.epsilon >= least,
            f"{what}.epsilon is {params.epsilon}, which is too small")  # fmt: skip
    # A delta of 1 hides nothing, but kingdoms choose it for the noise of developments.
    require(0 < params.delta <= 1, f"{what}.delta is {params.delta}, not in (0, 1]")
