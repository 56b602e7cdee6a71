"""The emulated sort against checksums of the orders in which GNU libstdc++'s std::sort left the same keys."""

import pytest

from reference.introsort import sorted_positions


def keys(n: int, kinds: int) -> list[int]:
    """From Knuth's 64-bit linear congruential generator, starting at 1."""
    state, drawn = 1, []
    for _ in range(n):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        drawn.append((state >> 33) % kinds)
    return drawn


def bad_for_the_median_of_three(n: int) -> list[int]:
    """Splits off two items at a time, which ends in heapsort."""
    half = n // 2
    made = [0] * n
    for i in range(1, half + 1):
        if i % 2:
            made[i - 1], made[i] = i, half + i
        made[half + i - 1] = 2 * i
    return [key // 2 for key in made]


def checksum(positions: list[int]) -> int:
    total = 0
    for position in positions:
        total = (total * 1000003 + position) % (2**61 - 1)
    return total


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (keys(16, 3), 1764001106365070625),
        (keys(17, 3), 1309898867228112614),
        (keys(100, 7), 2001430324695379056),
        (keys(1000, 40), 1698162260899844251),
        (keys(5000, 5000), 1772322158749072301),
        (bad_for_the_median_of_three(2000), 1663173226658806768),
    ],
    ids=["16", "17", "100", "1000", "5000", "heapsort"],
)
def test_equal_keys_stand_as_the_library_leaves_them(given: list[int], expected: int) -> None:
    encoded = [key.to_bytes(4, "big") for key in given]
    positions = sorted_positions(encoded)
    assert [given[position] for position in positions] == sorted(given)
    assert checksum(positions) == expected
