"""Share shuffle against the plain reference: any shares, any modulus; and everything that is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gristmill import _native as native
from protocol import shares
from protocol.calls import Call
from protocol.vectors import DIRECTORY, SHARE_SHUFFLE_RUNS, vectors
from reference import share_shuffle as reference
from reference.share_shuffle import FIRST, SECOND, ShareShuffle
from wfa.frequency_count.frequency_vector_pb2 import FrequencyVector

quick = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
moduli = st.sampled_from([5, 7, 64, 127, 128, 129, 200, 251, 256, 257, 1009, 65537, 2**31 - 1])
seeds = st.binary(min_size=48, max_size=48)
TINY = (20.0, 0.5)  # privacy so weak that a party's noise is between 0 and 2 entries
PLAIN = ShareShuffle(False, 4, 127, "NONE", None, None)
SEED = bytes(range(48))


def call(function: str, counts: tuple[int, ...] = (), scalars: tuple[int, ...] = (), **settings: Any) -> Call:
    return Call(function, {}, settings, scalars, counts, protocol=shares.PROTOCOL)


def shuffle_call(parameters: ShareShuffle, given: list[Any], count: int, order: str = FIRST, **more: Any) -> Call:
    return call(
        "shuffle_shares",
        parameters=parameters,
        shares=given,
        register_count=count,
        common_seed=more.pop("common_seed", SEED),
        order=order,
        **more,
    )


def entries_of(output: bytes) -> list[int]:
    return list(shares.AggregationPhaseInput.FromString(output).combined_frequency_vectors)


# Agreement


@quick
@given(
    frequencies=st.lists(st.integers(0, 4), min_size=1, max_size=300), seed=seeds, q=moduli, threads=st.integers(1, 3)
)
def test_a_share_and_its_expanded_seed_make_the_frequencies(
    frequencies: list[int], seed: bytes, q: int, threads: int
) -> None:
    made = call("make_share", frequencies=frequencies, seed=seed, ring_modulus=q)
    output = shares.by_native(made, threads=threads).output
    assert output == shares.by_reference(made).output
    expanded = reference.expand(seed, len(frequencies), q)
    shared = FrequencyVector.FromString(output).data
    assert [(s + t) % q for s, t in zip(expanded, shared, strict=True)] == frequencies


@quick
@given(
    data=st.data(),
    q=moduli,
    reach_only=st.booleans(),
    noise=st.sampled_from(["NONE", "GEOMETRIC", "DISCRETE_GAUSSIAN"]),
)
def test_any_shares_give_the_same_vector_and_figures_in_both(
    data: st.DataObject, q: int, reach_only: bool, noise: str
) -> None:
    if reach_only and any(q % divisor == 0 for divisor in (2, 3, 5)) and q > 5:
        q = 127
    count = data.draw(st.integers(1, 150))
    budgets = (None, None) if noise == "NONE" else (TINY, None if reach_only else TINY)
    parameters = ShareShuffle(reach_only, min(q - 2, 3), q, noise, *budgets)
    frequency = st.integers(0, min(q - 2, 3) // 3 if q > 5 else 1)
    plain = data.draw(st.lists(st.lists(frequency, min_size=count, max_size=count), min_size=1, max_size=3))
    drawn = [data.draw(seeds) for _ in plain]
    explicit = [reference.share(each, seed, q) for each, seed in zip(plain, drawn, strict=True)]
    swapped = data.draw(st.lists(st.booleans(), min_size=len(plain), max_size=len(plain)))
    random = Random(data.draw(st.integers(0, 9)))
    outputs = []
    for order in (FIRST, SECOND):
        held = [s if swap == (order == FIRST) else e for s, e, swap in zip(drawn, explicit, swapped, strict=True)]
        counts = tuple(random.randint(0, 2 * each.offset) for each in parameters.noises)
        values = tuple(random.randint(1, q - 1) for _ in range(counts[0])) if reach_only and counts else ()
        made = shuffle_call(parameters, held, count, order)
        made = Call(made.function, {}, made.parameters, values, counts, protocol=shares.PROTOCOL)
        output = shares.by_native(made, threads=data.draw(st.integers(1, 2))).output
        assert output == shares.by_reference(made).output
        outputs.append(entries_of(output))
    if not reach_only:
        recombined = Counter((one + other) % q for one, other in zip(*outputs, strict=True))
        sums = Counter(sum(each) for each in zip(*plain, strict=True))
        assert sums <= recombined
    made = call(
        "aggregate_shares",
        parameters=parameters,
        shares=outputs,
        register_count=count,
        maximum_frequency=2,
        sampling_width=0.3,
    )
    try:
        expected = shares.by_reference(made)
    except ValueError:
        with pytest.raises(native.InvalidArgument, match="neither data nor noise"):
            shares.by_native(made)
    else:
        assert shares.by_native(made, threads=2) == expected


def test_sums_of_the_largest_values_do_not_overflow() -> None:
    for q in (127, 128, 255, 256, 2**31 - 1):
        made = shuffle_call(ShareShuffle(False, 1, q, "NONE", None, None), [[q - 1] * 70] * 9, 70)
        assert entries_of(shares.by_native(made).output) == [-9 % q] * 70


@quick
@given(data=st.data())
def test_frequency_vectors_are_the_references(data: st.DataObject) -> None:
    ends = sorted(
        data.draw(st.sets(st.integers(1, 200), min_size=2, max_size=8).filter(lambda each: len(each) % 2 == 0))
    )
    ranges = data.draw(st.permutations(list(zip(ends[::2], ends[1::2], strict=True))))
    start = data.draw(st.floats(0, 1, width=32))
    width = data.draw(st.floats(0, 1, width=32, exclude_min=True))
    vids = data.draw(st.lists(st.integers(0, 210), max_size=100))
    progress = native.Progress()
    index = native.VidIndex(ranges, threads=2, progress=progress)
    order = reference.vid_order(ranges)
    assert [index.index(vid) for vid in order] == list(range(len(index))) == list(range(len(order)))
    vector = native.FrequencyVector(
        index, vids, sampling_start=start, sampling_width=width, maximum=3, progress=progress
    )
    expected = reference.frequency_vector(ranges, vids, start=start, width=width, maximum=3)
    assert len(vector) == len(expected) == native.hmss_register_count(len(index), start, width)
    assert (vector.reached, vector.impressions) == (sum(each > 0 for each in expected), sum(expected))
    assert vector.unknown == sum(index.index(vid) is None for vid in vids)
    if expected:
        assert written_zero_and_whole(vector) == ([0] * len(expected), expected)


def written_zero_and_whole(vector: native.FrequencyVector) -> tuple[list[int], list[int]]:
    """What shares limited to 0 and to 255 stand for."""
    expanded = reference.expand(SEED, len(vector), 127)
    found = []
    for maximum in (0, 255):
        output = Path(os.environ.get("TMPDIR", "/tmp")) / f"share-{os.getpid()}-{maximum}"
        try:
            vector.share(
                output=str(output), seed=SEED, ring_modulus=127, maximum=maximum, threads=1, progress=native.Progress()
            )
            data = FrequencyVector.FromString(output.read_bytes()).data
        finally:
            output.unlink(missing_ok=True)
        found.append([(s + t) % 127 for s, t in zip(expanded, data, strict=True)])
    return found[0], found[1]


@pytest.mark.parametrize(
    ("population", "start", "width", "registers"),
    [
        (100, 0.8, 0.5, 50),
        (99, 0, 0.01, 0),
        (38_592_425, 0, 1, 38_592_424),
        (30_000_001, 0, 1, 30_000_000),
        (16_777_219, 0, 1, 16_777_220),
        (360_000_000, 0, 0.01, 3_600_000),
        (360_000_000, 0.16, 0.016666668, 6_000_000),
    ],
)
def test_sampling_ranges_are_rounded_as_everywhere(population: int, start: float, width: float, registers: int) -> None:
    assert native.hmss_register_count(population, start, width) == registers
    assert sum(len(each) for each in reference.sampling_range(population, start, width)) == registers


def test_a_population_of_several_parts_is_ordered_as_a_whole() -> None:
    """From 2^22 people on, parts of the fingerprints are sorted one by one."""
    index = native.VidIndex(
        [(1_000_001, 4_300_000), (1, 1_000_000)], threads=2, progress=(progress := native.Progress())
    )
    assert (progress.done, len(index)) == (progress.total, 4_300_000)
    random = Random(1)
    sample = sorted(random.sample(range(1, 4_300_001), 400), key=reference.place)
    indices = [index.index(vid) for vid in sample]
    assert indices == sorted(indices)  # type: ignore[type-var]
    assert len(set(indices)) == 400
    assert index.index(4_300_001) is None


def test_the_order_of_a_population_is_the_recorded_one() -> None:
    recorded = vectors("formula_examples")["vid_index"]
    index = native.VidIndex([(1, 20)], threads=1, progress=native.Progress())
    assert [index.index(vid) for vid in recorded["order_1_to_20"]] == list(range(20))
    for vid, expected in recorded["hashes"].items():
        assert reference.place(int(vid)) == expected


@pytest.mark.parametrize("kernel", ["portable", "aesni", "vaes"])
def test_every_path_replays_the_recorded_runs(kernel: str) -> None:
    script = Path(__file__).parents[1] / "protocol" / "replay.py"
    command = [sys.executable, str(script), "--threads", "2", *(str(DIRECTORY / name) for name in SHARE_SHUFFLE_RUNS)]
    environment = os.environ | {"GRISTMILL_AES_KERNEL": kernel}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    if "which this processor does not have" in done.stderr:
        pytest.skip(f"no {kernel} here")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {line.rsplit(" ", 1)[1] for line in done.stdout.splitlines()} == {"ok"}


# Distribution


@pytest.mark.parametrize("mechanism", ["GEOMETRIC", "DISCRETE_GAUSSIAN"])
def test_reach_noise_has_its_distribution_and_uniform_values(mechanism: str) -> None:
    """1,000 noised vectors; the bounds are missed once in a million draws, and the seed is fixed."""
    q, runs = 7, 1000
    parameters = ShareShuffle(True, 1, q, mechanism, (2.0, 0.1), None)
    (noise,) = parameters.noises
    made = shuffle_call(parameters, [SEED], 1)
    seeded = native.Randomness.seeded(mechanism.encode())
    counts: Counter[int] = Counter()
    values: Counter[int] = Counter()
    for _ in range(runs):
        output = entries_of(shares.by_native(made, randomness=seeded).output)
        drawn = [value for value in reference.drawn_noise(parameters, output, 1, SEED, FIRST) if value]
        counts[len(drawn)] += 1
        values.update(drawn)
    assert chi_square(counts, [mass * runs for mass in noise.masses()]) < 6
    total = values.total()
    assert chi_square(values, [0, *[total / (q - 1)] * (q - 1)]) < 6


def chi_square(found: Counter[int], expected: list[float]) -> float:
    """How many standard deviations beyond its mean the statistic is; rare cells are joined."""
    cells: list[tuple[float, float]] = []
    rare = [0.0, 0.0]
    for number, mean in enumerate(expected):
        if mean >= 5:
            cells.append((found[number], mean))
        else:
            rare = [rare[0] + found[number], rare[1] + mean]
    if rare[1] >= 1:
        cells.append((rare[0], rare[1]))
    statistic = sum((count - mean) ** 2 / mean for count, mean in cells)
    freedom = len(cells) - 1
    return (statistic - freedom) / (2 * freedom) ** 0.5


# What is refused


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ring_modulus": 1}, "ring modulus: 1, 2 to"),
        ({"ring_modulus": 2**31}, "ring modulus"),
        ({"maximum_combined_frequency": 126}, "more than the maximum combined frequency 126 plus 1"),
        ({"maximum_combined_frequency": 0}, "at least 1"),
        ({"maximum_combined_frequency": 2**63 - 1}, "more than the maximum combined frequency"),
        ({"reach_only": True, "ring_modulus": 121, "frequency": None}, "a prime is needed"),
        ({"mechanism": "NONE"}, "no privacy parameters may be given"),
        ({"mechanism": "CONTINUOUS_GAUSSIAN"}, "NONE, GEOMETRIC or DISCRETE_GAUSSIAN"),
        ({"mechanism": "NOISE_MECHANISM_UNSPECIFIED"}, "NONE, GEOMETRIC or DISCRETE_GAUSSIAN"),
        ({"reach": None}, "noise for reach"),
        ({"frequency": None}, "noise for frequency"),
        ({"reach_only": True}, "the reach alone is measured"),
        ({"reach": (9e-7, 0.1)}, "epsilon"),
        ({"reach": (float("nan"), 0.1)}, "epsilon"),
        ({"frequency": (0.1, 0.0)}, "delta"),
        ({"reach": (1e-6, 1e-300), "frequency": (1e-6, 1e-300)}, "too many|no usable noise"),
    ],
)
def test_parameters_that_cannot_be_computed_with_are_refused(changed: dict[str, Any], message: str) -> None:
    sound: dict[str, Any] = {
        "reach_only": False,
        "maximum_combined_frequency": 120,
        "ring_modulus": 127,
        "mechanism": "GEOMETRIC",
        "reach": (0.1, 0.1),
        "frequency": (0.1, 0.1),
    }
    native.ShareShuffle(**sound)
    with pytest.raises(native.InvalidArgument, match=message):
        native.ShareShuffle(**sound | changed)


def test_the_padding_may_be_next_to_the_maximum_combined_frequency() -> None:
    native.ShareShuffle(**{**_fields(PLAIN), "maximum_combined_frequency": 125})
    with pytest.raises(native.InvalidArgument):
        native.ShareShuffle(**{**_fields(PLAIN), "maximum_combined_frequency": 126})


def _fields(parameters: ShareShuffle) -> dict[str, Any]:
    return {name: getattr(parameters, name) for name in ShareShuffle.__slots__}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (FrequencyVector(data=[1, 126, 127]).SerializeToString(), "entry 2 is not less than the ring modulus"),
        (FrequencyVector(data=[1, 2**32 - 1, 3]).SerializeToString(), "entry 1 is not less than the ring modulus"),
        (FrequencyVector(data=[1] * 70 + [127] + [1] * 90).SerializeToString(), "entry 70 is not less than"),
        (b"\x08\x7f", "entry 0 is not less than the ring modulus"),
        (FrequencyVector(data=[1, 2]).SerializeToString(), "a share of 2 entries: 3 registers are needed"),
        (FrequencyVector(data=[1] * 100).SerializeToString(), "a share of 100 entries: 3 registers are needed"),
        (b"", "a share of 0 entries"),
        (FrequencyVector(data=[1, 2, 3]).SerializeToString()[:-1], "cut short"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01", "cut short"),
        (b"\x0a\x03\x01\x02\x83", "entry 2 is no number"),
        (b"\x0a\x0c\x01" + b"\xff" * 11, "entry 1 is no number"),
        (b"\x07", "not the expected message"),
        (b"\x80" * 20, "not the expected one"),
        (b"\x0b\x0c", "not the expected message"),
    ],
)
def test_a_share_that_is_none_is_refused_by_name_and_leaves_no_output(
    file: bytes, message: str, tmp_path: Path
) -> None:
    given = tmp_path / "requisition"
    given.write_bytes(file)
    with pytest.raises(native.InvalidArgument, match=message) as refused:
        shuffled(tmp_path, shares=[str(given)], register_count=3)
    assert str(given) in str(refused.value)
    assert not (tmp_path / "output").exists()

    with pytest.raises(native.InvalidArgument, match=message):
        native.hmss_check_share(str(given), register_count=3, ring_modulus=127, threads=1, progress=native.Progress())


@pytest.mark.parametrize("q", [130, 200, 256, 300, 2**20])
@pytest.mark.parametrize("position", [0, 70, 199])
def test_one_entry_too_large_is_found_among_numbers_of_several_bytes(q: int, position: int, tmp_path: Path) -> None:
    random = Random(q)
    entries = [random.randrange(q) for _ in range(200)]
    given = tmp_path / "share"
    settings: dict[str, Any] = {"register_count": 200, "ring_modulus": q, "threads": 1, "progress": native.Progress()}
    given.write_bytes(FrequencyVector(data=entries).SerializeToString())
    native.hmss_check_share(str(given), **settings)
    entries[position] = q
    given.write_bytes(FrequencyVector(data=entries).SerializeToString())
    with pytest.raises(native.InvalidArgument, match=f"entry {position} is not less than the ring modulus"):
        native.hmss_check_share(str(given), **settings)


def test_a_sound_share_passes_the_check(tmp_path: Path) -> None:
    given = tmp_path / "share"
    given.write_bytes(FrequencyVector(data=[0, 199, 128]).SerializeToString())
    progress = native.Progress()
    native.hmss_check_share(str(given), register_count=3, ring_modulus=200, threads=2, progress=progress)
    assert progress.done == progress.total == 3


def shuffled(folder: Path, **changed: Any) -> int:
    settings: dict[str, Any] = {"shares": [], "seeds": [], "register_count": 3, "common_seed": SEED, "order": FIRST}
    settings |= {"randomness": native.Randomness.operating_system(), "threads": 1, "progress": native.Progress()}
    parameters = native.ShareShuffle(**_fields(PLAIN))
    return native.hmss_shuffle(parameters, output=str(folder / "output"), **settings | changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, "no shares"),
        ({"seeds": [SEED[:47]]}, "a random seed of 47 bytes: 48 are needed"),
        ({"seeds": [SEED], "common_seed": SEED + b"x"}, "a random seed of 49 bytes"),
        ({"seeds": [SEED], "register_count": 0}, "register count: 0"),
        ({"seeds": [SEED], "register_count": 2**32}, "register count: 4294967296"),
        ({"seeds": [SEED], "order": "NON_AGGREGATOR_ORDER_UNSPECIFIED"}, "FIRST or SECOND"),
        ({"seeds": [SEED], "threads": 0}, "threads: 0"),
        ({"shares": ["none"], "seeds": [SEED], "common_seed": b""}, "a random seed of 0 bytes"),
    ],
)
def test_a_request_that_is_wrong_is_refused(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(native.InvalidArgument, match=message) as refused:
        shuffled(tmp_path, **changed)
    assert SEED.hex() not in str(refused.value) and repr(SEED)[2:-1] not in str(refused.value)  # noqa: PT018
    assert not (tmp_path / "output").exists()


def test_everything_that_the_wire_format_allows_is_read(tmp_path: Path) -> None:
    """Packed parts, single numbers, unknown fields, numbers longer than needed."""
    odd = tmp_path / "odd"
    odd.write_bytes(
        b"\x0a\x02\x01\x02" + b"\x12\x03abc" + b"\x08\x03" + b"\x0a\x00" + b"\x0a\x03\x84\x80\x00" + b"\x1d1234"
    )
    assert shuffled(tmp_path, shares=[str(odd)], register_count=4) == 4
    plain = [[1, 2, 3, 4]]
    expected = shares.by_reference(shuffle_call(PLAIN, plain, 4)).output
    assert (tmp_path / "output").read_bytes() == expected


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([([1, 2], 2)], "1 aggregation inputs: exactly 2"),
        ([([1, 2], 2)] * 3, "3 aggregation inputs"),
        ([([1, 2], 2), ([1, 2, 3], 2)], "differ in length"),
        ([([1, 2], 2), ([1, 2], 3)], "register counts differ: 2 and 3"),
        ([([1, 2], 0), ([1, 2], 0)], "register count: 0"),
        ([([1, 2], -5), ([1, 2], -5)], "register count: -5"),
        ([([1, 2], 3), ([1, 2], 3)], "shares of 2 entries: 3 registers and noise make 3"),
        ([([1, 127], 2), ([1, 2], 2)], "entry 1 is not less than the ring modulus"),
        ([([0, 0], 2), ([0, 0], 2)], "neither data nor noise"),
    ],
)
def test_an_aggregation_of_something_else_is_refused(
    inputs: list[tuple[list[int], int]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(native.InvalidArgument, match=message):
        aggregated(tmp_path, inputs)


def aggregated(folder: Path, inputs: list[tuple[list[int], int]], **changed: Any) -> native.ShareFigures:
    paths = [folder / f"input{number}" for number in range(len(inputs))]
    for path, (vector, count) in zip(paths, inputs, strict=True):
        message = shares.AggregationPhaseInput(combined_frequency_vectors=vector, register_count=count)
        path.write_bytes(message.SerializeToString())
    settings = {"maximum_frequency": 2, "sampling_width": 1.0, "threads": 1, "progress": native.Progress()}
    parameters = native.ShareShuffle(**_fields(PLAIN))
    return native.hmss_aggregate(parameters, inputs=[str(path) for path in paths], **settings | changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [{"maximum_frequency": 0}, {"sampling_width": 0.0}, {"sampling_width": 1.5}, {"sampling_width": float("nan")}],
)
def test_a_measurement_that_is_none_is_refused(changed: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(native.InvalidArgument, match=r"maximum frequency|sampling width"):
        aggregated(tmp_path, [([1, 2], 2)] * 2, **changed)


def test_a_value_beyond_the_maximum_combined_frequency_is_an_internal_error(tmp_path: Path) -> None:
    with pytest.raises(native.InternalError, match="1 entries are beyond the maximum combined frequency"):
        aggregated(tmp_path, [([5, 2], 2), ([0, 0], 2)])


@pytest.mark.parametrize(
    "ranges",
    [
        [],
        [(0, 5)],
        [(5, 4)],
        [(1, 2**31 - 1)],
        [(1, 5), (5, 9)],
        [(1, 9), (2, 3)],
        [(1, 5), (1, 5)],
        [(-(2**63), 2**63 - 1)],
    ],
)
def test_ranges_that_are_no_population_are_refused(ranges: list[tuple[int, int]]) -> None:
    with pytest.raises(native.InvalidArgument, match="population"):
        native.VidIndex(ranges, threads=1, progress=native.Progress())


def test_events_outside_are_counted_or_strictly_refused_without_naming_the_vid() -> None:
    index = native.VidIndex([(1, 20)], threads=1, progress=native.Progress())
    settings: dict[str, Any] = {
        "sampling_start": 0.0,
        "sampling_width": 0.5,
        "maximum": 5,
        "progress": native.Progress(),
    }
    vector = native.FrequencyVector(index, [15, 13, 777_777], **settings)
    assert (vector.impressions, vector.outside, vector.unknown) == (1, 1, 1)
    for vids in ([777_777], [13]):
        with pytest.raises(native.InvalidArgument) as refused:
            native.FrequencyVector(index, vids, strict=True, **settings)
        assert str(vids[0]) not in str(refused.value)


def test_a_frequency_that_is_not_less_than_the_modulus_has_no_share(tmp_path: Path) -> None:
    vector = shares.native_frequency_vector([0, 7])
    settings: dict[str, Any] = {"output": str(tmp_path / "share"), "seed": SEED, "threads": 1}
    with pytest.raises(native.InvalidArgument, match=r"entry 1 .* not less than the ring modulus 7"):
        vector.share(ring_modulus=7, maximum=255, progress=native.Progress(), **settings)
    assert vector.share(ring_modulus=7, maximum=6, progress=native.Progress(), **settings) == 2


def test_a_cancelled_stage_stops_and_leaves_nothing(tmp_path: Path) -> None:
    progress = native.Progress()
    progress.cancel()
    with pytest.raises(native.Cancelled):
        shuffled(tmp_path, seeds=[SEED], progress=progress)
    with pytest.raises(native.Cancelled):
        native.VidIndex([(1, 10)], threads=1, progress=progress)
    assert not (tmp_path / "output").exists()


def test_progress_ends_at_its_total(tmp_path: Path) -> None:
    progress = native.Progress()
    share = tmp_path / "share"
    share.write_bytes(FrequencyVector(data=[1] * 3).SerializeToString())
    shuffled(tmp_path, seeds=[SEED] * 2, shares=[str(share)], progress=progress)
    assert progress.done == progress.total > 0
