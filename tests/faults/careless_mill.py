"""A mill that looks at no clock and heeds no lost renewal: what it must not write, only the store can refuse."""

from __future__ import annotations

import sys

from gristmill.cli.main import main
from gristmill.errors import LeaseLost
from gristmill.mill.claims import Claim
from gristmill.mill.keeper import Keeper


def never_expires(self: Claim) -> None:
    pass


def full_deadline(self: Claim) -> float:
    return 30.0


def goes_on(self: Keeper, error: LeaseLost) -> None:
    pass


if __name__ == "__main__":
    Claim._check_time = never_expires  # type: ignore[method-assign]
    Claim.time_left = full_deadline  # type: ignore[method-assign]
    Keeper._lose = goes_on  # type: ignore[method-assign]
    sys.exit(main(sys.argv[1:]))
