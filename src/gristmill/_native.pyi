"""The native core: P-256, ElGamal, sketches, and every Liquid Legions stage as a function from files to a file.

Points are 33 bytes (compressed), secret scalars 1 to 32 big-endian bytes. Input files are read in the given order as
one concatenated vector. `output` must not exist; it is written, flushed and synced, and removed again on any error.
Neither `block` (records a block) nor `threads` nor `sort_memory` (bytes of records that are held for sorting; more are
spilled beside the output) changes the bytes that a stage writes. All long work releases the interpreter's lock.

Raises InvalidArgument for input that is wrong and stays wrong, InternalError for what cannot happen with honest input,
Cancelled after Progress.cancel(), OSError for files. It cannot be imported (ImportError) if GRISTMILL_P256_KERNEL or
GRISTMILL_AES_KERNEL names arithmetic that there is not, or that the processor does not have.
"""

from collections.abc import Sequence
from typing import final

__all__ = [
    "Baseline",
    "Cancelled",
    "FrequencyVector",
    "InternalError",
    "InvalidArgument",
    "NoiseParameters",
    "Progress",
    "Randomness",
    "ReachFigures",
    "ReachOnlyFigures",
    "RegisterNoise",
    "ShareFigures",
    "ShareShuffle",
    "TupleNoise",
    "VidIndex",
    "active_indexes",
    "build_sketch",
    "check_point",
    "combine_public_keys",
    "encrypt_reach_only_sketch",
    "encrypt_sketch",
    "estimate_reach",
    "fingerprint64",
    "generate_key_pair",
    "hash_all_to_curve",
    "hash_to_curve",
    "hmss_aggregate",
    "hmss_check_share",
    "hmss_register_count",
    "hmss_shuffle",
    "llv2_blind_registers",
    "llv2_decrypt_counts",
    "llv2_decrypt_flags",
    "llv2_estimate_frequency",
    "llv2_estimate_reach",
    "llv2_join_registers",
    "llv2_setup",
    "noise_parameters",
    "public_element",
    "reach_only_blind_registers",
    "reach_only_estimate_reach",
    "reach_only_setup",
    "sample_noise",
    "vid_sample",
]

class InvalidArgument(ValueError): ...
class InternalError(RuntimeError): ...
class Cancelled(Exception): ...

@final
class Progress:
    """How far a stage function is; another thread may watch it."""

    def __new__(cls) -> Progress: ...
    @property
    def done(self) -> int:
        """Items finished."""
    @property
    def total(self) -> int:
        """Items announced so far."""
    @property
    def cancelled(self) -> bool: ...
    def cancel(self) -> None:
        """The stage raises Cancelled within a block."""

@final
class Randomness:
    """Random scalars by position and noise counts. One object may serve several calls: they never share a draw."""

    @staticmethod
    def operating_system() -> Randomness: ...
    @staticmethod
    def committed() -> Randomness:
        """ChaCha20 under a fresh 32-byte seed of the operating system, wiped when the object is dropped."""
    @property
    def commitment(self) -> bytes | None:
        """SHA-256(domain, seed) of a committed source."""
    # The next two exist only in builds with the cargo feature `replay`, never in a released wheel.
    @staticmethod
    def replay(scalars: Sequence[bytes], noise_counts: Sequence[int] = ()) -> Randomness:
        """A recorded call, once and exactly: too few scalars or noise counts, or some left over, is InvalidArgument."""
    @staticmethod
    def seeded(seed: bytes) -> Randomness:
        """The same draws for the same seed and the same number of earlier calls."""

@final
class RegisterNoise:
    """Noise of the setup phase. `sketches` is the number of requisitions; budgets are (epsilon, delta)."""

    def __new__(
        cls,
        *,
        mechanism: str,
        contributors: int,
        sketches: int,
        blind_histogram: tuple[float, float],
        publisher: tuple[float, float],
        reach: tuple[float, float],
        group_floor: int = 0,
    ) -> RegisterNoise:
        """`group_floor` registers more than drawn get the publisher-noise index, and as many the padding index.

        In Liquid Legions v2 it is the number of sketches plus one (P2), in the reach-only protocol it must be 1.
        """

@final
class TupleNoise:
    """Frequency noise of execution phases one and two."""

    def __new__(
        cls, *, mechanism: str, contributors: int, maximum_frequency: int, frequency: tuple[float, float]
    ) -> TupleNoise: ...

@final
class Baseline:
    """The noise whose mean the aggregator subtracts."""

    def __new__(cls, *, mechanism: str, contributors: int, privacy: tuple[float, float]) -> Baseline: ...

@final
class NoiseParameters:
    @property
    def shift_offset(self) -> int:
        """mu: counts are drawn in [0, 2 mu] around it."""
    @property
    def p(self) -> float | None:
        """Of the geometric mechanism."""
    @property
    def sigma_distributed(self) -> float | None:
        """Of one contributor's discrete Gaussian."""

@final
class ReachFigures:
    """What execution phase two finds at the aggregator."""

    @property
    def reach(self) -> int: ...
    @property
    def tuples(self) -> int:
        """Tuples received."""
    @property
    def blind(self) -> int:
        """Tuples of blind-histogram noise."""
    @property
    def kept(self) -> int:
        """Rows of the matrix."""
    @property
    def active(self) -> int:
        """Active registers after all baselines."""

def llv2_setup(
    *,
    own: Sequence[str],
    received: Sequence[str],
    output: str,
    public_key: bytes | None,
    maximum_frequency: int,
    noise: RegisterNoise | None,
    randomness: Randomness,
    threads: int,
    progress: Progress,
    block: int | None = None,
    sort_memory: int | None = None,
) -> int:
    """Setup phase (LLv2 specification, section 3): own and received registers and noise, sorted.

    Returns the registers written.
    """

def llv2_blind_registers(
    *,
    inputs: Sequence[str],
    output: str,
    secret_key: bytes,
    public_key: bytes,
    randomness: Randomness,
    threads: int,
    progress: Progress,
    block: int | None = None,
    sort_memory: int | None = None,
) -> int:
    """Execution phase one, not aggregator (4.1). Returns the registers written."""

def llv2_join_registers(
    *,
    inputs: Sequence[str],
    output: str,
    secret_key: bytes,
    public_key: bytes,
    sketches: int,
    noise: TupleNoise | None,
    randomness: Randomness,
    threads: int,
    progress: Progress,
    block: int | None = None,
    sort_memory: int | None = None,
) -> int:
    """Execution phase one, aggregator (4.2, 4.3). Members of a group keep their input order.

    Returns the tuples written.
    """

def llv2_decrypt_flags(
    *,
    inputs: Sequence[str],
    output: str,
    secret_key: bytes,
    public_key: bytes,
    partial_public_key: bytes,
    noise: TupleNoise | None,
    randomness: Randomness,
    threads: int,
    progress: Progress,
    block: int | None = None,
    sort_memory: int | None = None,
) -> int:
    """Execution phase two, not aggregator (5.1). Returns the tuples written."""

def llv2_estimate_reach(
    *,
    inputs: Sequence[str],
    output: str,
    secret_key: bytes,
    public_key: bytes,
    maximum_frequency: int,
    decay_rate: float,
    sketch_size: int,
    sampling_width: float,
    reach_baseline: Baseline | None,
    noise: TupleNoise | None,
    randomness: Randomness,
    threads: int,
    progress: Progress,
    block: int | None = None,
) -> ReachFigures:
    """Execution phase two, aggregator (5.2 to 5.4): reach, and the same-key matrix as output."""

def llv2_decrypt_counts(
    *,
    inputs: Sequence[str],
    output: str,
    secret_key: bytes,
    threads: int,
    progress: Progress,
    block: int | None = None,
) -> int:
    """Execution phase three, not aggregator (6.1). Returns the ciphertexts written."""

def llv2_estimate_frequency(
    *,
    inputs: Sequence[str],
    secret_key: bytes,
    maximum_frequency: int,
    baseline: Baseline | None,
    threads: int,
    progress: Progress,
    block: int | None = None,
) -> dict[int, float]:
    """Execution phase three, aggregator (6.2): share of each frequency; the last means "or more"; zeros left out."""

@final
class ReachOnlyFigures:
    """What the execution phase of the reach-only protocol finds at the aggregator."""

    @property
    def reach(self) -> int: ...
    @property
    def registers(self) -> int:
        """Registers received."""
    @property
    def distinct(self) -> int:
        """Distinct indexes among them."""
    @property
    def excessive_noise(self) -> int:
        """Distinct indexes of blind-histogram noise."""
    @property
    def active(self) -> int:
        """Active registers after all baselines."""

def reach_only_setup(
    *,
    own: Sequence[str],
    received: Sequence[str],
    output: str,
    public_key: bytes,
    noise: RegisterNoise | None,
    randomness: Randomness,
    threads: int,
    progress: Progress,
    block: int | None = None,
    sort_memory: int | None = None,
) -> int:
    """Setup phase (reach-only specification, section 4): own registers, those of the received blobs, and noise, sorted.

    `own` are requisitions, 66 bytes a register. `received` are blobs of other duchies, which have the 66 bytes of an
    excessive-noise ciphertext at their ends; so has the output, that of all together. Returns the registers written.
    """

def reach_only_blind_registers(
    *,
    inputs: Sequence[str],
    output: str,
    secret_key: bytes,
    randomness: Randomness,
    threads: int,
    progress: Progress,
    block: int | None = None,
    sort_memory: int | None = None,
) -> int:
    """Execution phase, not aggregator (5.1): from one blob to one. Returns the registers written."""

def reach_only_estimate_reach(
    *,
    inputs: Sequence[str],
    spill_folder: str,
    secret_key: bytes,
    decay_rate: float,
    sketch_size: int,
    sampling_width: float,
    reach_baseline: Baseline | None,
    noise: RegisterNoise | None,
    threads: int,
    progress: Progress,
    block: int | None = None,
    sort_memory: int | None = None,
) -> ReachOnlyFigures:
    """Execution phase, aggregator (5.2), of one blob. Makes no file, but may spill into `spill_folder`.

    `noise` is that of the setup phases. InternalError if the excessive noise is more than it can be.
    """

def build_sketch(
    vids: Sequence[int],
    *,
    decay_rate: float,
    size: int,
    sampling_indicator_size: int,
    sampling_start: float = 0.0,
    sampling_width: float = 1.0,
) -> list[tuple[int, int, int]]:
    """Registers (index, key + 1 or 0 if destroyed, frequency) by index; a VID counts once for each time it is given."""

def active_indexes(
    vids: Sequence[int], *, decay_rate: float, size: int, sampling_start: float = 0.0, sampling_width: float = 1.0
) -> list[int]:
    """Indexes of the registers that are not empty, ascending: a sketch for reach alone."""

def encrypt_sketch(
    registers: Sequence[tuple[int, int, int]],
    *,
    output: str,
    public_key: bytes,
    maximum_frequency: int,
    randomness: Randomness,
    threads: int,
    progress: Progress,
    block: int | None = None,
) -> int:
    """198 bytes a register, in order, under the combined key of all duchies. Returns the registers written."""

def encrypt_reach_only_sketch(
    indexes: Sequence[int],
    *,
    output: str,
    public_key: bytes,
    randomness: Randomness,
    threads: int,
    progress: Progress,
    block: int | None = None,
) -> int:
    """66 bytes a register, in order, under the combined key of all duchies. Returns the registers written."""

def vid_sample(vid: int) -> float:
    """The single-precision number in [0, 1] by which a VID is sampled."""

def fingerprint64(data: bytes) -> int:
    """FarmHash Fingerprint64."""

def generate_key_pair() -> tuple[bytes, bytes]:
    """Secret (big-endian without leading zeros) and public element."""

def public_element(secret: bytes) -> bytes: ...
def combine_public_keys(elements: Sequence[bytes]) -> bytes:
    """Their sum; each element is validated, and a sum at infinity is refused."""

def check_point(encoding: bytes) -> bytes:
    """The compressed form of a valid point, compressed or not."""

def hash_to_curve(data: bytes) -> bytes: ...
def hash_all_to_curve(data: Sequence[bytes]) -> bytes:
    """33 bytes for each, which costs less than one by one."""

def estimate_reach(*, decay_rate: float, size: int, active: int, sampling_width: float) -> int: ...
def noise_parameters(
    *, mechanism: str, epsilon: float, delta: float, contributors: int, sensitivity: float
) -> NoiseParameters: ...
def sample_noise(
    *,
    mechanism: str,
    epsilon: float,
    delta: float,
    contributors: int,
    sensitivity: float,
    count: int,
    randomness: Randomness,
) -> list[int]:
    """Noise counts of one contributor, for tests of the distribution."""

# Honest Majority Share Shuffle. Seeds are 48 bytes: an AES-256 key, then the initial counter block.

@final
class ShareShuffle:
    """What the three duchies of a share shuffle agree on, admitted (HMSS specification, sections 2.1 and 7.1).

    `maximum_combined_frequency` is the maximum frequency (1 for reach alone) times the number of data providers; the
    ring modulus must be larger by at least 2. `mechanism` is NONE, GEOMETRIC or DISCRETE_GAUSSIAN. Budgets are
    (epsilon, delta): both of reach and frequency, that of reach alone with `reach_only`, neither with NONE.
    """

    def __new__(
        cls,
        *,
        reach_only: bool,
        maximum_combined_frequency: int,
        ring_modulus: int,
        mechanism: str,
        reach: tuple[float, float] | None,
        frequency: tuple[float, float] | None,
    ) -> ShareShuffle: ...
    def entries(self, register_count: int) -> int:
        """Entries that a worker sends to the aggregator: the registers and both workers' noise."""

def hmss_shuffle(
    parameters: ShareShuffle,
    *,
    shares: Sequence[str],
    seeds: Sequence[bytes],
    register_count: int,
    output: str,
    common_seed: bytes,
    order: str,
    randomness: Randomness,
    threads: int,
    progress: Progress,
) -> int:
    """Shuffle phase of a worker (section 7): every requisition is a file or a seed.

    `shares` are files of serialized wfa.frequency_count.FrequencyVector (the requisition blobs), `seeds` the decrypted
    seeds of the others. `order` is FIRST or SECOND (non-aggregator). `common_seed` is the bytewise XOR of both workers'
    seeds. The output is a serialized HonestMajorityShareShuffle.AggregationPhaseInput. A share of another length, or
    with an entry that is not less than the modulus, is InvalidArgument that names the file.

    Returns the entries written.
    """

def hmss_check_share(share: str, *, register_count: int, ring_modulus: int, threads: int, progress: Progress) -> None:
    """Reads a file of a FrequencyVector as the shuffle phase would, and refuses what that would refuse.

    Raises InvalidArgument for another length, an entry that is not less than the modulus, or what is no message.
    """

@final
class ShareFigures:
    """What the aggregator finds."""

    @property
    def reach(self) -> int: ...
    @property
    def frequency_distribution(self) -> dict[int, float]:
        """Share of each frequency; the last means "or more"; zeros left out. Empty if only reach is measured."""
    @property
    def register_count(self) -> int:
        """What both workers' messages say: the length of a frequency vector, without noise."""
    @property
    def entries(self) -> int:
        """Of each worker's vector, with noise."""

def hmss_aggregate(
    parameters: ShareShuffle,
    *,
    inputs: Sequence[str],
    maximum_frequency: int,
    sampling_width: float,
    threads: int,
    progress: Progress,
) -> ShareFigures:
    """Aggregation phase (section 8) of two files of AggregationPhaseInput, in any order."""

def hmss_register_count(population: int, sampling_start: float, sampling_width: float) -> int:
    """Length of the frequency vector of a population and a sampling interval, which may pass 1 (section 3.2)."""

@final
class VidIndex:
    """The place of every VID of a population by salted fingerprint (section 3.1). Four bytes a VID.

    `ranges` are inclusive and disjoint, in any order. Building it goes through the population 2 to 33 times; each
    thread sorts two million VIDs or a 32nd of the population at once, 16 bytes each.
    """

    def __new__(cls, ranges: Sequence[tuple[int, int]], *, threads: int, progress: Progress) -> VidIndex: ...
    def __len__(self) -> int: ...
    def index(self, vid: int) -> int | None:
        """None for a VID that is not of the population."""

@final
class FrequencyVector:
    """How often each person of the sample was seen (section 3.3), in native memory that is wiped afterwards.

    `vids` holds one VID for each impression; an array is as good as a list. `maximum` (1 to 255) is the most that
    counts of one person. Events of people outside the population or the sample are left out, or with `strict` refused.
    """

    def __new__(
        cls,
        index: VidIndex,
        vids: Sequence[int],
        *,
        sampling_start: float,
        sampling_width: float,
        maximum: int,
        strict: bool = False,
        progress: Progress,
    ) -> FrequencyVector: ...
    def __len__(self) -> int:
        """The register count."""
    @property
    def reached(self) -> int:
        """Entries that are not zero."""
    @property
    def impressions(self) -> int:
        """Sum of the entries."""
    @property
    def unknown(self) -> int:
        """Events of people who are not of the population."""
    @property
    def outside(self) -> int:
        """Events of people of the population who are not in the sample."""
    def share(
        self, *, output: str, seed: bytes, ring_modulus: int, maximum: int, threads: int, progress: Progress
    ) -> int:
        """Writes a FrequencyVector message: the share that, added to what the seed expands to, gives the vector (5.1).

        Entries are first limited to `maximum`: 1 for reach (after a test of thresholds), 0 for a vector of zeros of the
        same length. The seed must be fresh from the operating system for each requisition. Returns the register count.
        """
