"""The native core: P-256, ElGamal, sketches, and every Liquid Legions stage as a function from files to a file.

Points are 33 bytes (compressed), secret scalars 1 to 32 big-endian bytes. Input files are read in the given order as
one concatenated vector. `output` must not exist; it is written, flushed and synced, and removed again on any error.
Neither `block` (records a block) nor `threads` nor `sort_memory` (bytes of records that are held for sorting; more are
spilled beside the output) changes the bytes that a stage writes. All long work releases the interpreter's lock.

Raises InvalidArgument for input that is wrong and stays wrong, InternalError for what cannot happen with honest input,
Cancelled after Progress.cancel(), OSError for files.
"""

from collections.abc import Sequence
from typing import final

__all__ = [
    "Baseline",
    "Cancelled",
    "InternalError",
    "InvalidArgument",
    "NoiseParameters",
    "Progress",
    "Randomness",
    "ReachFigures",
    "ReachOnlyFigures",
    "RegisterNoise",
    "TupleNoise",
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
