"""Under GRISTMILL_REQUIRE_ALL=1 a test that would skip fails, because then everything it needs is installed."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

import full_disk


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get("GRISTMILL_REQUIRE_ALL") == "1" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, but GRISTMILL_REQUIRE_ALL=1: {report.longrepr}"
    return report


@pytest.fixture(params=full_disk.KINDS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[full_disk.Disk]:
    """A disk that the test can fill; it has room at first."""
    with full_disk.disk_of(request.param, tmp_path / "disk") as made:
        yield made
