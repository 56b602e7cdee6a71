"""What a mill that polls asks for. Only who answers is a stand-in: the mill itself counts its questions."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

from gristmill.mill.process import ALL_TYPES_EVERY, Mill

TYPES = (1, 2, 3)


class Asked:
    """An internal API that has work of one type, once, and stops the mill after some questions."""

    def __init__(self, busy: int, questions: int) -> None:
        self.types: list[int] = []
        self._busy, self._questions = busy, questions
        self.mill = Mill(
            cast("Any", self),
            cast("Any", SimpleNamespace(run=lambda claim: "succeeded")),
            cast("Any", None),
            computation_types=TYPES,
            lock_duration=timedelta(minutes=5),
        )

    def claim(self, computation_type: int, lock_duration: timedelta) -> object | None:
        self.types.append(computation_type)
        if len(self.types) >= self._questions:
            self.mill.stop()
        first = self.types.count(self._busy) == 1
        return SimpleNamespace(activity=None) if computation_type == self._busy and first else None


def test_a_mill_that_polls_in_vain_asks_mostly_for_the_type_that_had_work_last() -> None:
    api = Asked(busy=2, questions=60)
    api.mill.poll(timedelta(microseconds=1))
    after = api.types[api.types.index(2) + 1 :]
    assert after.count(2) > len(after) // 2
    assert min(after.count(1), after.count(3)) >= len(after) // (ALL_TYPES_EVERY + len(TYPES)) - 1


def test_a_mill_that_has_work_asks_for_all_types_in_turn() -> None:
    api = Asked(busy=2, questions=6)
    api.mill.poll(timedelta(microseconds=1))
    assert api.types[:5] == [1, 2, 3, 1, 2]
