"""The curve arithmetic that GRISTMILL_P256_KERNEL asks for is the one that is used, or nothing is."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


def run(kernel: str, *arguments: str, variable: str = "GRISTMILL_P256_KERNEL") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {variable: kernel}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("kernel", ["fast", "AVX2", " portable"])
def test_the_native_core_is_not_imported_for_a_kernel_that_there_is_not(kernel: str) -> None:
    done = run(kernel, "-c", "import gristmill._native")
    message = f'ImportError: GRISTMILL_P256_KERNEL is "{kernel}", which is no kernel: portable, avx2 or avx512 is one'
    assert done.returncode == 1
    assert message in done.stderr


def test_nor_for_loops_of_share_shuffle_that_there_are_not() -> None:
    done = run("AES", "-c", "import gristmill._native", variable="GRISTMILL_AES_KERNEL")
    assert done.returncode == 1
    assert 'GRISTMILL_AES_KERNEL is "AES", which is no kernel: portable, aesni or vaes is one' in done.stderr


@pytest.mark.parametrize("kernel", ["", "portable"])
def test_it_is_imported_for_one_that_every_processor_has(kernel: str) -> None:
    done = run(kernel, "-c", "from gristmill import _native; _native.generate_key_pair()")
    assert done.returncode == 0, done.stderr


def test_a_command_that_needs_it_ends_with_the_reason() -> None:
    done = run("fast", "-m", "gristmill", "bench", "--registers=10", "--json")
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "GM-1000"
    assert error["message"].startswith('GRISTMILL_P256_KERNEL is "fast", which is no kernel')
    assert done.stderr == f"gristmill: GM-1000: {error['message']} Cure: {error['cure']}\n"
