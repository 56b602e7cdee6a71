"""Finding the order of a group's members from a recorded output of execution phase one at the aggregator.

Only where the emulated sort does not give the recorded bytes. Groups are searched one by one: a group's draws depend on
its size alone, and its order shows in the first point of its tuple, which is
r_0 * G + sum of r_i * (u_i - u_0) over the keys' u of the further members.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

from protocol.calls import Call
from protocol.recorded import SkippedError
from reference import curve, llv2
from reference.el_gamal import CIPHERTEXT_BYTES, Ciphertext, blocks

_HEADER_DRAWS = 3
_DRAWS_OF_A_TUPLE = 4  # the zero, and the multipliers of the flags; every further member draws one more
_LARGEST_GROUP = 8


def in_recorded_order(call: Call, recorded_output: bytes) -> Call:
    """The call with every group's members in an order that gives one of the recorded tuples.

    Raises SkippedError if a group is too large to try all orders, ValueError if no order gives a recorded tuple.
    """
    recorded = {block[: curve.POINT_BYTES] for block in blocks(recorded_output, llv2.TUPLE_BYTES)}
    registers = blocks(call.inputs["data"], llv2.REGISTER_BYTES)
    indices = llv2.decrypted_indices(call.inputs["data"], secret_key=call.parameters["secret_key"])
    first_draw, output = _HEADER_DRAWS, []
    for _, group in groupby(sorted(range(len(registers)), key=indices.__getitem__), key=indices.__getitem__):
        members = [registers[i] for i in group]
        if len(members) <= call.parameters["sketches"]:
            scalars = call.scalars[first_draw : first_draw + len(members)]
            order = _order(members, scalars, recorded)
            members = [members[i] for i in order]
            first_draw += len(members) + _DRAWS_OF_A_TUPLE - 1
        output += members
    return replace(call, inputs={"data": b"".join(output)})


def _order(members: list[bytes], scalars: tuple[int, ...], recorded: set[bytes]) -> tuple[int, ...]:
    given = tuple(range(len(members)))
    if len(members) == 1:
        return given
    key_points = [Ciphertext.decoded(member[CIPHERTEXT_BYTES : 2 * CIPHERTEXT_BYTES]).u for member in members]
    multipliers = [-sum(scalars[1:]), *scalars[1:]]
    products = [[curve.multiply(multiplier, point) for point in key_points] for multiplier in multipliers]
    start = curve.multiply_base(scalars[0])
    for point, order in _orders(start, products, given):
        if curve.encode(point) in recorded:
            return order
        if len(members) > _LARGEST_GROUP:
            raise SkippedError(f"the order inside a group of {len(members)} registers could not be found")
    raise ValueError(f"no order of a group of {len(members)} registers gives a recorded tuple")


def _orders(
    partial: curve.Point, products: list[list[curve.Point]], free: tuple[int, ...]
) -> Iterator[tuple[curve.Point, tuple[int, ...]]]:
    """Every order of the free members with the point that it gives, the given order first."""
    if not free:
        yield partial, ()
        return
    place = len(products) - len(free)
    for member in free:
        rest = tuple(each for each in free if each != member)
        for point, order in _orders(curve.add(partial, products[place][member]), products, rest):
            yield point, (member, *order)
