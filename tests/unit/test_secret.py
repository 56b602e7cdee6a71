"""A secret leaves through `expose` and through nothing else."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable

import pytest

from gristmill.secret import Secret

MARKER = b"marker-7c1f"
SECRET = Secret(MARKER)


def test_a_secret_is_exposed_on_demand() -> None:
    assert SECRET.expose() == MARKER
    assert len(SECRET) == len(MARKER)


@pytest.mark.parametrize(
    "attempt",
    [str, pickle.dumps, copy.copy, copy.deepcopy, json.dumps, bytes, list, hash, "{}".format, lambda s: f"{s:>20}"],
)  # fmt: skip
def test_nothing_else_gives_it_away(attempt: Callable[[Secret], object]) -> None:
    with pytest.raises(TypeError) as caught:
        attempt(SECRET)
    assert "marker" not in str(caught.value)


def test_its_representation_hides_it() -> None:
    assert "marker" not in repr([SECRET])


def test_secrets_are_compared_by_content() -> None:
    assert Secret(b"one") == Secret(b"one")
    assert Secret(b"one") != Secret(b"two")
    assert Secret(b"one") != b"one"
    assert not Secret(b"")
