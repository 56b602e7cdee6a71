"""One development PKI for all tests of this folder, a fresh kingdom for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gristmill.trust.development import DevelopmentKeys, make
from kingdom.actors import DUCHIES, World, world


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentKeys:
    return make(tmp_path_factory.mktemp("kingdom") / "keys", duchies=DUCHIES, data_providers=["edp1", "edp2"])


@pytest.fixture
async def kingdom(keys: DevelopmentKeys, tmp_path: Path) -> AsyncIterator[World]:
    async with world(keys, tmp_path / "kingdom.sqlite") as answering:
        yield answering
