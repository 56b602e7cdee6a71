"""Share shuffle: recorded requests and responses, and both ways to carry them out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gristmill import _native
from protocol.calls import Call
from protocol.recorded import Outcome, SkippedError, Stage
from reference import share_shuffle as reference
from reference.curve import minimal_bytes
from reference.share_shuffle import ShareShuffle
from wfa.frequency_count.frequency_vector_pb2 import FrequencyVector
from wfa.measurement.internal.duchy.noise_mechanism_pb2 import NoiseMechanism
from wfa.measurement.internal.duchy.protocol.honest_majority_share_shuffle_methods_pb2 import (
    CompleteShufflePhaseRequest,
)
from wfa.measurement.internal.duchy.protocol.honest_majority_share_shuffle_pb2 import HonestMajorityShareShuffle

AggregationPhaseInput = HonestMajorityShareShuffle.AggregationPhaseInput
PROTOCOL = "share_shuffle"


# Recorded stages and data providers to calls


def call_of(stage: Stage, config: Mapping[str, Any]) -> Call:
    """The call whose outcome must be the recorded response."""
    if stage.request_type == "CompleteShufflePhaseRequest":
        return _shuffle(stage, bool(config.get("reach_only")))
    if stage.request_type == "CompleteAggregationPhaseRequest":
        return _aggregate(stage, bool(config.get("reach_only")))
    raise SkippedError(f"there is no stage function for {stage.request_type}")


def expected(stage: Stage) -> Outcome:
    """The recorded response, without its timing."""
    if stage.request_type == "CompleteShufflePhaseRequest":
        count = stage.request.frequency_vector_params.register_count
        entries = stage.response.combined_frequency_vector
        return Outcome(_aggregation_input(entries, count))
    distribution = dict(stage.response.frequency_distribution)
    return Outcome(figures={"reach": stage.response.reach, "frequency_distribution": distribution})


def _call(function: str, settings: Mapping[str, Any], scalars: Sequence[int] = (), counts: Sequence[int] = ()) -> Call:
    return Call(function, {}, settings, tuple(scalars), tuple(counts), protocol=PROTOCOL)


def _parameters(request: Any, reach_only: bool) -> ShareShuffle:
    def privacy(name: str) -> tuple[float, float] | None:
        budget = getattr(request, name)
        return (budget.epsilon, budget.delta) if request.HasField(name) else None

    reach, frequency = privacy("reach_dp_params"), privacy("frequency_dp_params")
    mechanism = NoiseMechanism.Name(request.noise_mechanism)
    if reach is None and frequency is None and not request.noise_mechanism:
        mechanism = "NONE"
    numbers = request.frequency_vector_params
    return ShareShuffle(
        reach_only,
        numbers.maximum_combined_frequency,
        numbers.ring_modulus,
        mechanism,
        reach,
        None if reach_only else frequency,
    )


def _shuffle(stage: Stage, reach_only: bool) -> Call:
    request, parameters = stage.request, _parameters(stage.request, reach_only)
    count = request.frequency_vector_params.register_count
    order = CompleteShufflePhaseRequest.NonAggregatorOrder.Name(request.order)
    shares = [
        list(share.data.values) if share.WhichOneof("share_type") == "data" else share.seed
        for share in request.frequency_vector_shares
    ]
    settings = {
        "parameters": parameters,
        "shares": shares,
        "register_count": count,
        "common_seed": request.common_random_seed,
        "order": order,
    }
    if not parameters.noises:
        return _call("shuffle_shares", settings)
    noise = reference.drawn_noise(
        parameters, stage.response.combined_frequency_vector, count, request.common_random_seed, order
    )
    if reach_only:
        values = tuple(value for value in noise if value)
        return _call("shuffle_shares", settings, values, (len(values),))
    counts = tuple(noise.count(k) for k in range(len(parameters.noises)))
    return _call("shuffle_shares", settings, (), counts)


def _aggregate(stage: Stage, reach_only: bool) -> Call:
    request = stage.request
    settings = {
        "parameters": _parameters(request, reach_only),
        "shares": [list(share.share_vector) for share in request.frequency_vector_shares],
        "register_count": request.frequency_vector_params.register_count,
        "maximum_frequency": request.maximum_frequency,
        "sampling_width": request.vid_sampling_interval_width,
    }
    return _call("aggregate_shares", settings)


def share_calls(run: Mapping[str, Any], requests: Sequence[Any]) -> Iterator[tuple[str, Call, bytes]]:
    """(role, call, recorded share) of each data provider whose plain vector, share and seed the file has."""
    by_worker = [list(request.frequency_vector_shares) for request in requests]
    if len(by_worker) != 2:
        return
    plain = run.get("plain_frequency_vectors", [])
    for number, (frequencies, *pair) in enumerate(zip(plain, *by_worker, strict=True), start=1):
        seeds = [share.seed for share in pair if share.WhichOneof("share_type") == "seed"]
        vectors = [share.data.values for share in pair if share.WhichOneof("share_type") == "data"]
        if len(seeds) == len(vectors) == 1:
            modulus = requests[0].frequency_vector_params.ring_modulus
            settings = {"frequencies": list(frequencies), "seed": seeds[0], "ring_modulus": modulus}
            recorded = FrequencyVector(data=vectors[0]).SerializeToString()
            yield f"edp{number}", _call("make_share", settings), recorded


def _aggregation_input(entries: Sequence[int], register_count: int) -> bytes:
    message = AggregationPhaseInput(combined_frequency_vectors=entries, register_count=register_count)
    serialized: bytes = message.SerializeToString(deterministic=True)
    return serialized


# Carrying them out


def by_reference(call: Call) -> Outcome:
    given = dict(call.parameters)
    if call.function == "make_share":
        share = reference.share(given["frequencies"], given["seed"], given["ring_modulus"])
        return Outcome(FrequencyVector(data=share).SerializeToString())
    parameters = given.pop("parameters")
    if call.function == "aggregate_shares":
        reach, distribution = reference.aggregate(parameters, **given)
        return Outcome(figures={"reach": reach, "frequency_distribution": distribution})
    count, q = given["register_count"], parameters.ring_modulus
    given["shares"] = [
        reference.expand(share, count, q) if isinstance(share, bytes) else share for share in given["shares"]
    ]
    vector = reference.shuffle(parameters, **given, counts=call.counts, values=call.scalars)
    return Outcome(_aggregation_input(vector, count))


def by_native(call: Call, *, threads: int = 1, randomness: _native.Randomness | None = None) -> Outcome:
    """Replays the call's own noise unless another source of randomness is given."""
    given = dict(call.parameters) | {"threads": threads, "progress": _native.Progress()}
    with TemporaryDirectory(prefix="gristmill-replay-") as name:
        folder = Path(name)
        output = folder / "output"
        if call.function == "make_share":
            vector = native_frequency_vector(given.pop("frequencies"))
            vector.share(output=str(output), maximum=255, **given)
            return Outcome(output.read_bytes())
        parameters = _native.ShareShuffle(**asdict(given.pop("parameters")))
        vectors = [share for share in given["shares"] if not isinstance(share, bytes)]
        paths = [folder / f"share{number}" for number in range(len(vectors))]
        if call.function == "aggregate_shares":
            count = given.pop("register_count")
            for path, vector in zip(paths, vectors, strict=True):
                path.write_bytes(_aggregation_input(vector, count))
            given["inputs"] = [str(path) for path in paths]
            del given["shares"]
            figures = _native.hmss_aggregate(parameters, **given)
            return Outcome(figures={"reach": figures.reach, "frequency_distribution": figures.frequency_distribution})
        for path, vector in zip(paths, vectors, strict=True):
            path.write_bytes(FrequencyVector(data=vector).SerializeToString())
        scalars = [minimal_bytes(scalar) for scalar in call.scalars]
        given["randomness"] = randomness or _native.Randomness.replay(scalars, list(call.counts))
        given["seeds"] = [share for share in given["shares"] if isinstance(share, bytes)]
        given["shares"] = [str(path) for path in paths]
        _native.hmss_shuffle(parameters, output=str(output), **given)
        return Outcome(output.read_bytes())


def native_frequency_vector(frequencies: Sequence[int]) -> _native.FrequencyVector:
    """One with these entries: people of a population as large, each seen as often as it takes."""
    population = len(frequencies)
    progress = _native.Progress()
    index = _native.VidIndex([(1, population)], threads=1, progress=progress)
    vids = []
    for vid in range(1, population + 1):
        place = index.index(vid)
        assert place is not None
        vids += [vid] * frequencies[place]
    return _native.FrequencyVector(index, vids, sampling_start=0.0, sampling_width=1.0, maximum=255, progress=progress)
