"""Processes that assess proposals ahead of the one that judges them."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process

from search.assess import Assessor, Fitted, Proposal
from search.evaluator import Evaluation
from search.space import Place
from store.records import Rejection


class Workers:
    """A pool whose processes each hold the assessor; answers come in the order of the questions."""

    def __init__(self, pool: ProcessPoolExecutor, count: int) -> None:
        self._pool, self._count = pool, count

    def fit(self, proposals: Sequence[Proposal]) -> list[Fitted | Rejection]:
        return list(self._pool.map(_fit, proposals, chunksize=self._chunk(len(proposals))))

    def evaluate(self, places: Sequence[Place]) -> list[Evaluation | Rejection]:
        return list(self._pool.map(_evaluate, places, chunksize=self._chunk(len(places))))

    def _chunk(self, questions: int) -> int:
        """A few chunks for each process: they differ in how long they take."""
        return max(1, questions // (4 * self._count))


@contextmanager
def started(assessor: Assessor, count: int) -> Iterator[Workers | None]:
    """`count` processes; None for one, which is the caller's own."""
    if count == 1:
        yield None
        return
    # Spawned, not forked: the caller may have threads (a progress bar) and an open database.
    with ProcessPoolExecutor(count, get_context("spawn"), _begin, (assessor,)) as pool:
        yield Workers(pool, count)


_assessor: Assessor  # of this process, from `_begin`


def _begin(assessor: Assessor) -> None:
    global _assessor
    _assessor = assessor
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the caller ends the pool
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """A parent that was killed cannot end its pool."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _fit(proposal: Proposal) -> Fitted | Rejection:
    return _assessor.fit(proposal)


def _evaluate(place: Place) -> Evaluation | Rejection:
    return _assessor.evaluate(place)
