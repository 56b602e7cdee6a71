"""Where the reference takes its random scalars from: a recorded list, or a seeded generator that records."""

from collections.abc import Sequence
from random import Random

from reference import curve
from reference.curve import Affine, N


class Recorded:
    """Hands out recorded scalars in their order."""

    def __init__(self, scalars: Sequence[int]) -> None:
        self._scalars = list(scalars)
        self._next = 0

    def scalar(self) -> int:
        if self._next == len(self._scalars):
            raise ValueError(f"all {self._next} recorded scalars are used up")
        self._next += 1
        return self._scalars[self._next - 1]

    @property
    def left(self) -> int:
        return len(self._scalars) - self._next


class Recording:
    """Draws from a seeded generator and keeps what it drew, to replay it elsewhere."""

    def __init__(self, seed: int | str) -> None:
        self._random = Random(seed)
        self.scalars: list[int] = []

    def scalar(self) -> int:
        self.scalars.append(self._random.randrange(1, N))
        return self.scalars[-1]


Draws = Recorded | Recording


def skip(draws: Draws, count: int) -> None:
    """Keys that the original makes and does not use."""
    for _ in range(count):
        draws.scalar()


def random_point(draws: Draws, prefix: str = "") -> Affine:
    return curve.hash_to_curve(f"{prefix}{draws.scalar()}".encode())
