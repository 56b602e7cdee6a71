"""How people are counted: by sketches of Liquid Legions, or by shares of frequency vectors."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from gristmill.edp.population import Population
from gristmill.errors import ConfigurationError

LARGEST_SKETCH: Final = 100_000_000
_LARGEST_DECAY: Final = 700


@dataclass(frozen=True, slots=True)
class Sketch:
    """A Liquid Legions sketch: how fast register probabilities fall, how many registers, how many keys of people."""

    decay_rate: float = 12.0
    size: int = 100_000
    sampling_indicator_size: int = 10_000_000

    def __post_init__(self) -> None:
        require(
            1 < self.decay_rate < _LARGEST_DECAY,
            f"--decay-rate must be more than 1 and less than {_LARGEST_DECAY}, and {self.decay_rate:g} is not",
            "12 is usual.",
        )
        require(
            2 <= self.size <= LARGEST_SKETCH,
            f"--sketch-size must lie between 2 and {LARGEST_SKETCH:,}, and {self.size:,} does not",
            "100000 is usual.",
        )
        require(
            2 <= self.sampling_indicator_size < 2**63,
            f"--sampling-indicator-size must lie between 2 and 2^63 - 1, and {self.sampling_indicator_size} does not",
            "10000000 is usual.",
        )

    def flags(self) -> tuple[str, ...]:
        """Of the development kingdom, which decides on the sketch."""
        return (
            f"--llv2-decay-rate={self.decay_rate!r}",
            f"--llv2-max-size={self.size}",
            f"--llv2-sampling-indicator-size={self.sampling_indicator_size}",
        )


@dataclass(frozen=True, slots=True)
class Shares:
    """Honest Majority Share Shuffle: a vector with an entry for each person of the population, in two shares.

    `ring_modulus` is the development kingdom's.
    """

    population: Population = field(default_factory=lambda: Population([(1, 10_000_000)]))
    ring_modulus: int = 127

    def flags(self) -> tuple[str, ...]:
        """Of the development kingdom, which decides on the protocol."""
        return (
            "--enable-hmss",
            f"--hmss-reach-and-frequency-ring-modulus={self.ring_modulus}",
            f"--hmss-reach-ring-modulus={self.ring_modulus}",
        )


Method = Sketch | Shares


def population(method: Method) -> Population | None:
    """The population that the data providers of a method need to know."""
    return method.population if isinstance(method, Shares) else None


def described(method: Method) -> dict[str, Any]:
    """For JSON; `read` reads it."""
    if isinstance(method, Sketch):
        return {"sketch": asdict(method)}
    return {"population": [list(both) for both in method.population.ranges]}


def read(content: dict[str, Any]) -> Method:
    """What `described` wrote; KeyError, TypeError or ValueError if it did not."""
    if "population" in content:
        return Shares(Population([(int(first), int(last)) for first, last in content["population"]]))
    return Sketch(**content["sketch"])


def require(holds: bool, message: str, cure: str) -> None:
    """ConfigurationError unless it holds."""
    if not holds:
        raise ConfigurationError(message, cure=cure)
