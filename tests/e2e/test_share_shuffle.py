"""A whole measurement by Honest Majority Share Shuffle through real services, processes that talk over mutual TLS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from e2e.expected import WITHOUT_NOISE
from gristmill.consortium.consortium import Consortium, Options
from gristmill.consumer.request import MeasurementRequest, Privacy
from gristmill.consumer.result import MeasurementResult, VectorSize
from gristmill.edp.events import EventFile
from gristmill.edp.population import Population
from gristmill.errors import InvalidRequest, MeasurementFailed
from gristmill.measure.method import Shares
from gristmill.measure.report import answer_of
from reference.share_shuffle import frequency_vector

pytestmark = pytest.mark.xdist_group("e2e")

RANGES = [(1, 1500), (5001, 5500)]
PROVIDERS = ("one", "two", "three")
TOP = 5


def impressions() -> dict[str, list[int]]:
    """Data provider -> the VIDs that it saw."""
    draw, everybody = Random(5), Population(RANGES)
    return {name: [everybody.at(int(draw.triangular(0, 1999, 200))) for _ in range(900)] for name in PROVIDERS}


SEEN = impressions()


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    directory = tmp_path_factory.mktemp("share-shuffle")
    events = {}
    for name, vids in SEEN.items():
        file = directory / f"{name}.csv"
        file.write_text("id\n" + "".join(f"{vid}\n" for vid in vids))
        events[name] = EventFile(file, population=Population(RANGES))
    options = Options(flags={"kingdom": Shares().flags()})
    with Consortium(directory / "consortium", events, options) as running:
        yield running


def request(consortium: Consortium) -> MeasurementRequest:
    return MeasurementRequest(
        data_providers=tuple(party.resource for party in consortium.keys.data_providers),
        reach=WITHOUT_NOISE,
        frequency=WITHOUT_NOISE,
        maximum_frequency=TOP,
    )


def measured(consortium: Consortium, asked: MeasurementRequest) -> MeasurementResult:
    with consortium.consumer() as consumer:
        return consumer.wait(consumer.create(asked), timeout_seconds=60)


def test_reach_and_frequency_are_exact_without_noise(consortium: Consortium) -> None:
    result = measured(consortium, request(consortium))
    often = Counter(vid for vids in capped().values() for vid in vids)
    shares = Counter(min(times, TOP) for times in often.values())
    assert result.reach == len(often)
    assert dict(result.frequency) == {times: count / len(often) for times, count in sorted(shares.items())}
    assert (result.protocol, result.counted_by) == ("honest_majority_share_shuffle", VectorSize(2000))


def capped() -> dict[str, list[int]]:
    """No data provider counts a person more often than the maximum frequency."""
    return {
        name: [vid for vid, times in Counter(vids).items() for _ in range(min(times, TOP))]
        for name, vids in SEEN.items()
    }


def test_reach_alone_is_exact_without_noise(consortium: Consortium) -> None:
    result = measured(consortium, replace(request(consortium), frequency=None))
    assert (result.reach, result.frequency) == (len({vid for vids in SEEN.values() for vid in vids}), {})


def test_a_sample_that_wraps_around_counts_its_people(consortium: Consortium) -> None:
    asked = replace(request(consortium), sampling_start=0.875, sampling_width=0.25)
    result = measured(consortium, asked)
    vectors = [frequency_vector(RANGES, vids, start=0.875, width=0.25, maximum=TOP) for vids in SEEN.values()]
    sampled = sum(any(times) for times in zip(*vectors, strict=True))
    assert result.reach == int(sampled / 0.25)
    assert result.counted_by == VectorSize(500)


def test_with_noise_the_answer_is_as_far_off_as_its_intervals_say(consortium: Consortium) -> None:
    """Within three times the interval of 95 %: five or six standard deviations."""
    noisy = replace(request(consortium), reach=Privacy(1.0, 1e-5), frequency=Privacy(1.0, 1e-5))
    answer = answer_of(measured(consortium, noisy))
    often = Counter(vid for vids in SEEN.values() for vid in vids)
    assert abs(answer.reach.value - len(often)) <= 1.5 * (answer.reach.high - answer.reach.low)
    for times, estimate in answer.frequency.items():
        share = sum(min(each, TOP) == times for each in often.values()) / len(often)
        assert abs(estimate.value - share) <= 1.5 * (estimate.high - estimate.low), times


def test_every_duchy_has_worked_each_stage_of_its_role_once(consortium: Consortium) -> None:
    identifier = measured(consortium, request(consortium)).measurement.rpartition("/")[2]
    stages = {}
    for duchy in consortium.wiring.ports:
        with consortium.inspection(duchy) as inspection:
            stages[duchy] = [event.stage for event in inspection.events(identifier) if event.kind == "claimed"]
    assert stages == {
        "worker1": ["INITIALIZED", "SETUP_PHASE", "SHUFFLE_PHASE"],
        "worker2": ["INITIALIZED", "SETUP_PHASE", "SHUFFLE_PHASE"],
        "aggregator": ["INITIALIZED", "AGGREGATION_PHASE"],
    }


def test_a_data_provider_with_another_population_fails_its_measurement_only(consortium: Consortium) -> None:
    (honest,) = (child for child in consortium.processes.children if child.name == "two")
    consortium.processes.stop([honest])
    arguments = [each for each in honest.arguments if not each.startswith("--population")]
    other = consortium.processes.start("two", [*arguments, "--population=1-5500"])
    with consortium.consumer() as consumer:
        spoilt = consumer.create(request(consortium))
        with pytest.raises(MeasurementFailed, match=r"have different lengths .*5500.*same population"):
            consumer.wait(spoilt, timeout_seconds=60)
    consortium.check()
    consortium.processes.stop([other])
    consortium.processes.start("two", honest.arguments)
    assert measured(consortium, request(consortium)).reach > 0


def test_the_kingdom_is_asked_for_no_frequency_that_does_not_fit_into_the_ring(consortium: Consortium) -> None:
    with pytest.raises(InvalidRequest, match="does not fit into a ring of modulus 127"):
        measured(consortium, replace(request(consortium), maximum_frequency=42))
