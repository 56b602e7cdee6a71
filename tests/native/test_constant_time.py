"""No branch and no address depends on a secret: valgrind's memcheck with the secrets marked as undefined."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPENDS_ON_A_SECRET = 9
KERNELS = ["portable", "avx2"]  # valgrind has no AVX-512


@pytest.fixture(scope="module")
def program() -> Path:
    """crates/p256-batch/examples/constant_time.rs, optimised as what is released."""
    if platform.machine() != "x86_64":
        pytest.skip("the marks for valgrind are x86-64 instructions")
    if not shutil.which("valgrind"):
        pytest.skip("valgrind is not installed: apt-get install valgrind")
    path = os.environ["PATH"] + os.pathsep + str(Path.home() / ".cargo/bin")
    cargo = shutil.which("cargo", path=path)
    if not cargo:
        pytest.skip("cargo is not installed: see https://rustup.rs")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    build = ["build", "--quiet", "--release", "--package=p256-batch", "--features=memcheck", "--example=constant_time"]
    subprocess.run([cargo, *build, f"--target-dir={target}"], cwd=ROOT, env=os.environ | {"PATH": path}, check=True)
    return target / "release/examples/constant_time"


def under_valgrind(program: Path, kernel: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    valgrind = ["valgrind", "--quiet", f"--error-exitcode={DEPENDS_ON_A_SECRET}", str(program), *arguments]
    environment = os.environ | {"GRISTMILL_P256_KERNEL": kernel}
    done = subprocess.run(valgrind, env=environment, capture_output=True, text=True, check=False)
    used = done.stdout.partition("\n")[0]
    if "which this processor does not have" in done.stderr:
        pytest.skip(f"this processor has no {kernel}")
    assert used == f"kernel: {kernel.capitalize()}", done.stdout + done.stderr
    return done


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_branch_or_address_depends_on_a_secret(program: Path, kernel: str) -> None:
    done = under_valgrind(program, kernel)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("error", "report"),
    [("branch", "Conditional jump or move depends on uninitialised value"), ("address", "Use of uninitialised value")],
)
def test_a_branch_or_an_address_that_depends_on_a_secret_is_found(
    program: Path, kernel: str, error: str, report: str
) -> None:
    done = under_valgrind(program, kernel, error)
    assert done.returncode == DEPENDS_ON_A_SECRET, done.stdout + done.stderr
    assert report in done.stderr
