"""What a measurement of plain sketches counts, computed without any cryptography."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from reference.sketch import Register


@dataclass(frozen=True, slots=True)
class Truth:
    """Registers with anybody in them, and of those with one key the number per frequency, capped."""

    active: int
    histogram: Counter[int]


def truth(sketches: Sequence[Sequence[Register]], maximum_frequency: int) -> Truth:
    keys: defaultdict[int, set[int]] = defaultdict(set)
    counts: Counter[int] = Counter()
    for sketch in sketches:
        for index, key, frequency in sketch:
            keys[index].add(key)
            counts[index] += min(frequency, maximum_frequency + 1)
    kept = [index for index, found in keys.items() if len(found) == 1 and 0 not in found]
    return Truth(len(keys), Counter(min(counts[index], maximum_frequency) for index in kept))
