"""How far the herald has come in the kingdom's stream, when several computations are handled at once."""

from __future__ import annotations

from collections import deque
from threading import Lock


class LeadingRun:
    """Tokens in the order received; the position is the last of those that are done without a gap before them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pending: deque[tuple[int, str]] = deque()
        self._done: set[int] = set()
        self._count = 0

    def received(self, token: str) -> int:
        """Remember a token as pending; returns the ticket that says later that it is done."""
        with self._lock:
            self._count += 1
            self._pending.append((self._count, token))
            return self._count

    def done(self, ticket: int) -> str | None:
        """Mark it done; returns the new position if it moved."""
        with self._lock:
            self._done.add(ticket)
            position = None
            while self._pending and self._pending[0][0] in self._done:
                first, position = self._pending.popleft()
                self._done.discard(first)
            return position
