"""What the network and the servers do wrong, one line each, and which pairs of it and an operation are tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from edge import Edge, Fault, How
from scheduling import PLAYS_ALL

AT_MOST_ONE_IN = 8
"""`make test` tries every operation and every fault, in an eighth of their pairs; `make faults` tries all pairs."""
FOR_EVER = 10_000

Body = Callable[[int], tuple[dict[str, str], bytes]]


@dataclass(frozen=True)
class Wrong:
    """One thing that goes wrong with a request: how, with which status, and whether it took effect all the same."""

    name: str
    how: How = "answer"
    status: int = 0
    is_done: bool = False
    retry_after: str = ""

    def strike(self, edge: Edge, when: str, body: Body, *, times: int = 1, skip: int = 0) -> None:
        """Let it happen to the requests whose line contains `when`."""
        headers, text = body(self.status)
        if self.retry_after:
            headers = headers | {"Retry-After": self.retry_after}
        answer = (self.status, headers, text) if self.status else None
        edge.faults.append(Fault(when, self.how, times, self.is_done, answer, skip))


TRANSIENT = (
    Wrong("429", status=429),
    Wrong("429 with Retry-After", status=429, retry_after="0"),
    Wrong("500", status=500),
    Wrong("502", status=502),
    Wrong("503", status=503),
    Wrong("503 with Retry-After", status=503, retry_after="0"),
    Wrong("503 though done", status=503, is_done=True),
    Wrong("reset before", how="reset"),
    Wrong("reset after it was done", how="reset", is_done=True),
    Wrong("cut in the answer", how="cut", is_done=True),
    Wrong("no answer", how="hang"),
    Wrong("no answer though done", how="hang", is_done=True),
    Wrong("stalls in the answer", how="stall", is_done=True),
    Wrong("slow answer", how="trickle", is_done=True),
)
TERMINAL = (Wrong("400", status=400), Wrong("401", status=401), Wrong("403", status=403))


def json_body(status: int) -> tuple[dict[str, str], bytes]:
    """Return a google API's error."""
    text = f'{{"error": {{"code": {status}, "message": "made by the test"}}}}'
    return {"Content-Type": "application/json"}, text.encode()


def pairs(operations: Sequence[Any], wrongs: Sequence[Wrong]) -> list[Any]:
    """Return pairs of operation and fault, spread so that each operation is in some pair however few are tried."""
    one_in = 1 if PLAYS_ALL else min(AT_MOST_ONE_IN, len(wrongs))
    return [
        pytest.param(operation, wrong, id=f"{operation.name}: {wrong.name}")
        for i, operation in enumerate(operations)
        for j, wrong in enumerate(wrongs)
        if (i + j) % one_in == 0
    ]


def fewer(cases: list[Any]) -> list[Any]:
    """Return half of the pairs that `make test` would try otherwise, for tests that wait until a client gives up."""
    return cases if PLAYS_ALL else cases[::2]
