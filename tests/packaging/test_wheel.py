"""The wheel that people install, built as it is released and put into an environment that has nothing else."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.xdist_group("wheel"), pytest.mark.timeout(900)]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "maturin", "build", "--release", "--quiet", "--out", str(directory)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (path,) = directory.glob("gristmill-*.whl")
    return path


@pytest.fixture(scope="session")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("environment")
    venv.create(directory, with_pip=True)
    pip = [str(directory / "bin/python"), "-m", "pip", "--disable-pip-version-check"]
    install = [*pip, "install", "--quiet", str(wheel)]
    installed = subprocess.run(install, capture_output=True, text=True, check=False)
    assert installed.returncode == 0, installed.stderr
    return directory


def python(environment: Path, program: str) -> str:
    command = [str(environment / "bin/python"), "-I", "-c", program]
    ran: subprocess.CompletedProcess[str] = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=environment
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_the_installed_command_says_its_version(environment: Path) -> None:
    ran = subprocess.run([environment / "bin/gristmill", "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("gristmill 0.1.0")


def test_every_module_of_the_wheel_can_be_imported(environment: Path, wheel: Path) -> None:
    names = [name for name in zipfile.ZipFile(wheel).namelist() if name.startswith(("gristmill/", "wfa/"))]
    modules = sorted(
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in names
        if name.endswith(".py") and "/migrations/" not in name and not name.endswith("__main__.py")
    )
    assert "wfa.measurement.internal.duchy.computations_service_pb2_grpc" in modules
    assert "gristmill.cli.main" in modules
    python(environment, f"import importlib\nfor name in {modules}: importlib.import_module(name)")


def test_a_released_wheel_cannot_replay_randomness(environment: Path) -> None:
    program = (
        "from gristmill._native import Randomness; print([n for n in dir(Randomness) if n in ('replay', 'seeded')])"
    )
    assert python(environment, program) == "[]"


def test_the_demo_has_its_events(environment: Path) -> None:
    program = "from gristmill.demo.flights import departures; print(len(departures('week')))"
    assert python(environment, program) == "6091"


def test_the_wheel_serves_every_python_from_3_11_on(wheel: Path) -> None:
    assert "-cp311-abi3-" in wheel.name


def test_the_wheel_holds_no_tests_and_no_sources_of_the_native_module(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.endswith(".rs") or name.startswith("tests/")]
