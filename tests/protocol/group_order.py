"""The order of a group's members in execution phase one at the aggregator, which decides the bytes of its output.

It is the one in which the original's sort leaves the registers. Where that does not give the recorded bytes, groups are
searched one by one: a group's draws depend on its size alone, and its order shows in the first point of its tuple,
which is r_0 * G + sum of r_i * (u_i - u_0) over the keys' u of the further members.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from protocol.calls import Call
from protocol.recorded import SkippedError
from reference import curve, llv2
from reference.el_gamal import Ciphertext, blocks, decode_row
from reference.introsort import sorted_positions

_HEADER_DRAWS = 3
_DRAWS_OF_A_TUPLE = 4  # the zero, and the multipliers of count and flags; every further member draws one more
_LARGEST_GROUP = 8

Order = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    """Registers with one index, and the scalars that their tuple draws."""

    members: Sequence[bytes]
    scalars: Sequence[int]


def as_sorted(call: Call) -> Call:
    """The call with its registers in the order in which the original's sort leaves them."""
    registers = blocks(call.inputs["data"], llv2.REGISTER_BYTES)
    positions = sorted_positions(_indices(call))
    return replace(call, inputs={"data": b"".join(registers[position] for position in positions)})


def in_recorded_order(call: Call, recorded_output: bytes) -> Call:
    """The call with every group's members in an order that gives one of the recorded tuples.

    Tried first: the order of the original's sort and that of the input, which a stable sort leaves. Raises SkippedError
    if a group is too large to try all others, ValueError if no order can give a recorded tuple.
    """
    recorded = blocks(recorded_output, llv2.TUPLE_BYTES)
    registers, indices = blocks(call.inputs["data"], llv2.REGISTER_BYTES), _indices(call)
    first_draw, output = _HEADER_DRAWS, []
    for _, positions in groupby(sorted_positions(indices), key=indices.__getitem__):
        left_by_the_sort = list(positions)
        members = [registers[position] for position in left_by_the_sort]
        if len(members) <= call.parameters["sketches"]:
            draws = len(members) + _DRAWS_OF_A_TUPLE - 1
            group = _Group(members, call.scalars[first_draw : first_draw + draws])
            of_the_input = tuple(sorted(range(len(members)), key=left_by_the_sort.__getitem__))
            members = [members[i] for i in _order(group, of_the_input, recorded)]
            first_draw += draws
        output += members
    return replace(call, inputs={"data": b"".join(output)})


def _indices(call: Call) -> list[bytes]:
    return llv2.decrypted_indices(call.inputs["data"], secret_key=call.parameters["secret_key"])


def _order(group: _Group, of_the_input: Order, recorded: Sequence[bytes]) -> Order:
    size = len(group.members)
    given = tuple(range(size))
    if size == 1:
        return given
    key_points = [decode_row(member)[1].u for member in group.members]
    drawn = group.scalars[1:size]
    products = [[curve.multiply(multiplier, point) for point in key_points] for multiplier in (-sum(drawn), *drawn)]
    start, points = curve.multiply_base(group.scalars[0]), {each[: curve.POINT_BYTES] for each in recorded}
    known = [next(_orders(start, products, order)) for order in (given, of_the_input)]
    others = _orders(start, products, given) if size <= _LARGEST_GROUP else iter(())
    for point, order in (*known, *others):
        if curve.encode(point) in points:
            return order
    if size > _LARGEST_GROUP and _has_tuple(group, recorded):
        raise SkippedError(f"the order inside a group of {size} registers could not be found")
    raise ValueError(f"no order of a group of {size} registers gives a recorded tuple")


def _orders(
    partial: curve.Point, products: list[list[curve.Point]], free: Order
) -> Iterator[tuple[curve.Point, Order]]:
    """Every order of the free members with the point that it gives, the given order first."""
    if not free:
        yield partial, ()
        return
    place = len(products) - len(free)
    for member in free:
        rest = tuple(each for each in free if each != member)
        for point, order in _orders(curve.add(partial, products[place][member]), products, rest):
            yield point, (member, *order)


def _has_tuple(group: _Group, recorded: Sequence[bytes]) -> bool:
    """Whether a recorded tuple is this group's in some order: its count less the blinded flag is the members' sum."""
    counts = [decode_row(member)[2] for member in group.members]
    total = counts[0]
    for count in counts[1:]:
        total = total.plus(count)
    return any(_count_without_flag(each, group.scalars[len(counts)]) == total for each in recorded)


def _count_without_flag(recorded_tuple: bytes, multiplier: int) -> Ciphertext:
    same_key, _, _, count = decode_row(recorded_tuple)
    return count.minus(same_key.times(multiplier))
