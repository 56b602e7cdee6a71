"""The order in which GNU libstdc++'s unstable std::sort leaves equal keys.

The original sorts registers by their decrypted index with it, and the order inside a group of equal indices decides
the bytes of the output. The algorithm is introsort: quicksort with the median of three as pivot, down to runs of 16;
heapsort of a part that has been split too often; then one insertion sort over all.
"""

from collections.abc import Sequence

_RUN = 16


def sorted_positions(keys: Sequence[bytes]) -> list[int]:
    """Positions of `keys` in ascending order of key; equal keys stand as std::sort leaves them."""
    positions = list(range(len(keys)))
    _Sort(keys, positions).run()
    return positions


class _Sort:
    def __init__(self, keys: Sequence[bytes], items: list[int]) -> None:
        self._keys = keys
        self._items = items

    def run(self) -> None:
        n = len(self._items)
        if n == 0:
            return
        self._split(0, n, 2 * (n.bit_length() - 1))
        for i in range(1, min(n, _RUN)):
            self._insert_guarded(i)
        for i in range(_RUN, n):
            self._insert(i)

    def _less(self, left: int, right: int) -> bool:
        """Compares two items (not places)."""
        return self._keys[left] < self._keys[right]

    def _swap(self, i: int, j: int) -> None:
        items = self._items
        items[i], items[j] = items[j], items[i]

    def _split(self, first: int, last: int, depth: int) -> None:
        while last - first > _RUN:
            if depth == 0:
                self._heapsort(first, last)
                return
            depth -= 1
            self._median_to_first(first, first + 1, first + (last - first) // 2, last - 1)
            cut = self._partition(first + 1, last, self._items[first])
            self._split(cut, last, depth)
            last = cut

    def _median_to_first(self, first: int, a: int, b: int, c: int) -> None:
        x, y, z = self._items[a], self._items[b], self._items[c]
        if self._less(x, y):
            median = b if self._less(y, z) else c if self._less(x, z) else a
        else:
            median = a if self._less(x, z) else c if self._less(y, z) else b
        self._swap(first, median)

    def _partition(self, first: int, last: int, pivot: int) -> int:
        while True:
            while self._less(self._items[first], pivot):
                first += 1
            last -= 1
            while self._less(pivot, self._items[last]):
                last -= 1
            if first >= last:
                return first
            self._swap(first, last)
            first += 1

    def _insert_guarded(self, i: int) -> None:
        """Moves an item that precedes all before it to the front at once, and any other one as `_insert` does."""
        items = self._items
        if self._less(items[i], items[0]):
            items[: i + 1] = [items[i], *items[:i]]
        else:
            self._insert(i)

    def _insert(self, i: int) -> None:
        items, item = self._items, self._items[i]
        while self._less(item, items[i - 1]):
            items[i] = items[i - 1]
            i -= 1
        items[i] = item

    def _heapsort(self, first: int, last: int) -> None:
        items, n = self._items, last - first
        for parent in range((n - 2) // 2, -1, -1):
            self._sift(first, parent, n, items[first + parent])
        for end in range(last - 1, first, -1):
            item, items[end] = items[end], items[first]
            self._sift(first, 0, end - first, item)

    def _sift(self, first: int, hole: int, n: int, item: int) -> None:
        """Lets the hole sink to a leaf along the greater children, then lets `item` rise from there."""
        items, top, child = self._items, hole, hole
        while child < (n - 1) // 2:
            child = 2 * child + 2
            if self._less(items[first + child], items[first + child - 1]):
                child -= 1
            items[first + hole] = items[first + child]
            hole = child
        if n % 2 == 0 and child == (n - 2) // 2:
            child = 2 * child + 1
            items[first + hole] = items[first + child]
            hole = child
        while hole > top and self._less(items[first + (hole - 1) // 2], item):
            items[first + hole] = items[first + (hole - 1) // 2]
            hole = (hole - 1) // 2
        items[first + hole] = item
