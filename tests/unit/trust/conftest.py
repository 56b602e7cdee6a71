"""One development PKI for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from gristmill.trust.development import DevelopmentKeys, make


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentKeys:
    directory = tmp_path_factory.mktemp("trust") / Path("keys")
    return make(directory, duchies=["worker1", "worker2", "aggregator"], data_providers=["edp1", "edp2"])
