"""What the reach-only protocol has of its own: the excessive noise at the end of a blob, and a count of indexes."""

from __future__ import annotations

from pathlib import Path

import pytest

from gristmill import _native as native
from gristmill._native import InternalError, InvalidArgument
from native.duchies import AGGREGATOR, ReachOnlyDuchies
from native.test_hostile_points import GENERATOR, NO_POINTS, points
from native.test_stages import ACTIVE, NEARLY_CONSTANT, SKETCHES, noisy
from reference import curve
from reference.el_gamal import CIPHERTEXT_BYTES, UNIT, Ciphertext, encrypt

END = CIPHERTEXT_BYTES


def register_noise(group_floor: int = 1, reach: tuple[float, float] = NEARLY_CONSTANT) -> native.RegisterNoise:
    return native.RegisterNoise(
        mechanism="GEOMETRIC",
        contributors=3,
        sketches=3,
        blind_histogram=(1.0, 1.0),
        publisher=(1.0, 1.0),
        reach=reach,
        group_floor=group_floor,
    )


MOST = (
    2
    * 3
    * 3
    * native.noise_parameters(
        mechanism="GEOMETRIC", epsilon=1.0, delta=1.0, contributors=3, sensitivity=2.0
    ).shift_offset
)
"""The most that the excessive noise can be: twice the offset, of three sketches, of three duchies."""


@pytest.fixture
def duchies(tmp_path: Path) -> ReachOnlyDuchies:
    return ReachOnlyDuchies(tmp_path, SKETCHES, 1, "reach only")


def excess(duchies: ReachOnlyDuchies, count: int) -> bytes:
    """An encryption of a count for the aggregator alone."""
    key = curve.decode(native.public_element(duchies.secrets[AGGREGATOR]))
    zero = encrypt(None, key, 77)
    return zero.plus(Ciphertext(None, curve.multiply(count, UNIT))).encoded()


def counted(duchies: ReachOnlyDuchies, blob: bytes) -> native.ReachOnlyFigures:
    (duchies.folder / "blob").write_bytes(blob)
    return duchies.count("blob")


@pytest.mark.parametrize("count", [0, 1, 2, MOST // 2, MOST - 1, MOST])
def test_the_excessive_noise_is_found_up_to_its_most(duchies: ReachOnlyDuchies, count: int) -> None:
    duchies.register_noise = register_noise()
    assert counted(duchies, points(6) + excess(duchies, count)).excessive_noise == count


@pytest.mark.parametrize("count", [MOST + 1, MOST + 2, 2 * MOST, -1])
def test_more_excessive_noise_than_can_be_is_an_internal_error(duchies: ReachOnlyDuchies, count: int) -> None:
    duchies.register_noise = register_noise()
    with pytest.raises(InternalError, match=f"excessive noise is none of 0 to {MOST}"):
        counted(duchies, points(6) + excess(duchies, count % curve.N))


def test_without_noise_the_excessive_noise_must_be_zero(duchies: ReachOnlyDuchies) -> None:
    assert counted(duchies, points(6) + excess(duchies, 0)).active == 3
    with pytest.raises(InternalError, match="none of 0 to 0"):
        counted(duchies, points(6) + excess(duchies, 1))


def test_a_most_that_would_take_seconds_to_search_is_searched_in_less(duchies: ReachOnlyDuchies) -> None:
    """Some thousand million candidates: the time of the test would show a multiplication for each."""
    duchies.register_noise = native.RegisterNoise(
        mechanism="DISCRETE_GAUSSIAN",
        contributors=3,
        sketches=20,
        blind_histogram=(1e-6, 1e-9),
        publisher=(1.0, 1.0),
        reach=(1.0, 1.0),
        group_floor=1,
    )
    count = 3_000_000_019
    assert counted(duchies, excess(duchies, count)).excessive_noise == count


def test_what_cannot_be_searched_is_refused(duchies: ReachOnlyDuchies) -> None:
    duchies.register_noise = native.RegisterNoise(
        mechanism="GEOMETRIC",
        contributors=2**40,
        sketches=3,
        blind_histogram=(1.0, 1.0),
        publisher=(1.0, 1.0),
        reach=(1.0, 1.0),
        group_floor=1,
    )
    with pytest.raises(InvalidArgument, match="more than can be looked for"):
        counted(duchies, excess(duchies, 0))


def test_a_blob_of_excessive_noise_alone_has_no_registers(duchies: ReachOnlyDuchies) -> None:
    figures = counted(duchies, excess(duchies, 0))
    assert (figures.registers, figures.distinct, figures.active, figures.reach) == (0, 0, 0, 1)
    (duchies.folder / "setup2").write_bytes(points(2))
    duchies.blind()
    assert [len(duchies.outputs[f"blind{worker}"]) for worker in (0, 1)] == [END, END]


@pytest.mark.parametrize("size", [0, 1, 65])
def test_a_blob_too_short_for_excessive_noise_is_refused(duchies: ReachOnlyDuchies, size: int) -> None:
    with pytest.raises(InvalidArgument, match=f"^{duchies.folder}/blob: .* {size} bytes: at least 66 are needed"):
        counted(duchies, points(2)[:size])


def test_no_blob_and_several_blobs_are_refused_where_one_is_due(duchies: ReachOnlyDuchies) -> None:
    for names in ([], ["a", "b"]):
        for name in names:
            (duchies.folder / name).write_bytes(points(2))
        inputs = [str(duchies.folder / name) for name in names]
        with pytest.raises(InvalidArgument, match=f"{len(names)} blobs given"):
            duchies.run(native.reach_only_blind_registers, "made", inputs=inputs, secret_key=duchies.secrets[0])


@pytest.mark.parametrize("fault", NO_POINTS)
@pytest.mark.parametrize("place", [0, 33])
def test_excessive_noise_that_is_no_ciphertext_is_refused_by_every_stage(
    duchies: ReachOnlyDuchies, fault: str, place: int
) -> None:
    end = bytearray(points(2))
    end[place : place + 33] = NO_POINTS[fault]
    (duchies.folder / "setup0").write_bytes(points(8) + points(2))
    for name in ("setup1", "setup2", "blind1"):
        (duchies.folder / name).write_bytes(points(8) + end)
    received = [*duchies.path("setup0"), *duchies.path("setup1")]
    for named, stage in (
        ("setup1", lambda: duchies.run(native.reach_only_setup, "made", own=[], received=received, noise=None)),
        ("setup2", duchies.blind),
        ("blind1", duchies.count),
    ):
        with pytest.raises(InvalidArgument, match=f"^{duchies.folder}/{named}: the excessive-noise .* is not one of P"):
            stage()
    assert not {"made", "blind0"} & {path.name for path in duchies.folder.iterdir()}


def test_excessive_noise_that_decrypts_to_infinity_at_a_worker_is_refused(duchies: ReachOnlyDuchies) -> None:
    to_infinity = GENERATOR + native.public_element(duchies.secrets[0])
    (duchies.folder / "setup2").write_bytes(points(4) + to_infinity)
    with pytest.raises(InvalidArgument, match=r"setup2: the excessive-noise ciphertext .* point at infinity"):
        duchies.blind()


def test_equal_and_opposite_excessive_noise_adds_up(duchies: ReachOnlyDuchies) -> None:
    """A sum in which a point meets itself, or its opposite."""
    duchies.register_noise = register_noise()
    one = excess(duchies, 5)
    opposite = Ciphertext.decoded(one).negated().encoded()
    duchies.public_key = native.public_element(duchies.secrets[AGGREGATOR])
    for received, expected in (([one, one], 10), ([one, opposite, one], 5), ([one, one, opposite], 5)):
        for number, blob in enumerate(received):
            (duchies.folder / f"received{number}").write_bytes(blob)
        paths = [path for number in range(len(received)) for path in duchies.path(f"received{number}")]
        duchies.run(native.reach_only_setup, "made", own=[], received=paths, noise=None)
        assert duchies.count("made").excessive_noise == expected
        (duchies.folder / "made").unlink()


def test_equal_and_opposite_registers_are_counted(duchies: ReachOnlyDuchies) -> None:
    """Blinded in one batch, and told apart or not by what they decrypt to."""
    point, other = Ciphertext.decoded(points(2)), Ciphertext.decoded(points(4)[66:])
    registers = [
        point,
        point.negated(),
        point,
        Ciphertext(point.u, curve.negate(point.e)),
        other,
        other,
        other.negated(),
    ]
    blob = b"".join(register.encoded() for register in registers) + excess(duchies, 0)
    assert counted(duchies, blob).distinct == 5
    (duchies.folder / "setup2").write_bytes(blob)
    duchies.blind()
    blinded = duchies.outputs["blind1"][:-END]
    assert counted(duchies, blinded + excess(duchies, 0)).distinct == 5


@pytest.mark.parametrize("group_floor", [0, 2])
def test_noise_that_does_not_make_sure_of_its_two_indexes_is_refused(
    duchies: ReachOnlyDuchies, group_floor: int
) -> None:
    duchies.register_noise = register_noise(group_floor)
    with pytest.raises(InvalidArgument, match="group floor: exactly 1"):
        duchies.setup()


def test_a_setup_phase_adds_all_its_noise_registers_whatever_it_draws(duchies: ReachOnlyDuchies) -> None:
    """T = 2 mu_publisher + 2 mu_reach + mu_blind S (S + 1) + 2."""
    duchies.register_noise = register_noise()
    duchies.encrypt()
    duchies.setup()
    mu = {
        (epsilon, sensitivity): native.noise_parameters(
            mechanism="GEOMETRIC", epsilon=epsilon, delta=delta, contributors=3, sensitivity=sensitivity
        ).shift_offset
        for epsilon, delta, sensitivity in ((1.0, 1.0, 3.0), (*NEARLY_CONSTANT, 1.0), (1.0, 1.0, 2.0))
    }
    total = 2 * mu[1.0, 3.0] + 2 * mu[40.0, 1.0] + mu[1.0, 2.0] * 3 * 4 + 2
    assert len(duchies.outputs["setup0"]) == 66 * (len(SKETCHES[0]) + total + 1)


@pytest.mark.parametrize(("threads", "block"), [(1, None), (2, None), (2, 7)])
def test_the_noise_is_told_from_people_with_a_source_that_knows_no_positions(
    tmp_path: Path, threads: int, block: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operating system's gives other scalars for the same position: no index may be drawn twice."""
    duchies = noisy(tmp_path, 1, kind=ReachOnlyDuchies, threads=threads, block=block)
    monkeypatch.setattr(duchies, "source", lambda _: native.Randomness.operating_system())
    assert duchies.everything(None) == (ACTIVE, {})


def test_progress_counts_every_noise_register(duchies: ReachOnlyDuchies) -> None:
    duchies.register_noise = register_noise()
    duchies.run(native.reach_only_setup, "made", own=[], received=[], noise=duchies.register_noise)
    registers = len(duchies.outputs["made"]) // 66 - 1
    assert duchies.progress.done == duchies.progress.total == registers


def test_progress_of_the_count_ends_at_its_total(duchies: ReachOnlyDuchies) -> None:
    assert counted(duchies, points(60) + excess(duchies, 0)).registers == 30
    assert duchies.progress.done == duchies.progress.total == 60


def test_a_saturated_sketch_is_refused(duchies: ReachOnlyDuchies) -> None:
    registers = b"".join(native.hash_to_curve(b"%d" % number) for number in range(2000))
    with pytest.raises(InvalidArgument, match="saturated"):
        counted(duchies, registers + excess(duchies, 0))


def test_a_negative_index_is_refused(duchies: ReachOnlyDuchies) -> None:
    with pytest.raises(InvalidArgument, match="negative index"):
        duchies.run(native.encrypt_reach_only_sketch, "made", indexes=[3, -1])
    assert not (duchies.folder / "made").exists()
