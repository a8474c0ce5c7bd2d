"""Work that is done aside, by a thread, while the caller goes on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Aside:
    """Does one thing at a time in a thread of its own, which starts with the first.

    What fails there is raised by the next `do`, or by `settle`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: ThreadPoolExecutor | None = None
        self._doing: Future[object] | None = None

    def do(self, task: Callable[[T], object], argument: T) -> None:
        """Have a task done once the one before is."""
        self.settle()
        self._thread = self._thread or ThreadPoolExecutor(1, self._name)
        self._doing = self._thread.submit(task, argument)

    def settle(self) -> None:
        """Wait for the task under way."""
        if self._doing is not None:
            doing, self._doing = self._doing, None
            doing.result()

    def stop(self) -> None:
        """End the thread; the task under way is done first, and not asked how it went."""
        if self._thread:
            self._thread.shutdown()
