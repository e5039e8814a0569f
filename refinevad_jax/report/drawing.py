"""Draws figures in other processes while the caller goes on: threads would wait for each other."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from refinevad_jax.report import figures

# One draws while the other does; a process takes half a second to start.
NUM_PROCESSES = 2


class Drawing:
    """Figures under way."""

    def __init__(self, pool: concurrent.futures.Executor | None) -> None:
        """pool: None draws at once."""
        self._pool = pool
        self._found: list[concurrent.futures.Future[None]] = []

    def __call__(self, draw: Callable[..., None], *arguments: Any, **options: Any) -> None:
        """Starts to draw. draw: a function of `figures`; the others are its arguments."""
        if self._pool is None:
            draw(*arguments, **options)
        else:
            self._found.append(self._pool.submit(draw, *arguments, **options))

    def wait(self) -> None:
        """Returns when all are in their files. Raises what drawing one raised."""
        for future in self._found:
            future.result()


@contextlib.contextmanager
def started(*, apart: bool) -> Iterator[Drawing]:
    """What figures are drawn with.

    apart: in processes that start now. Each imports the file that Python was started with, so that
    this is for commands, and not for a script that does more when it is imported.
    """
    if not apart:
        yield Drawing(None)
        return
    context = multiprocessing.get_context("spawn")  # JAX has threads, which a fork would lose
    with concurrent.futures.ProcessPoolExecutor(
        NUM_PROCESSES, mp_context=context, initializer=_watch_parent
    ) as pool:
        for _ in range(NUM_PROCESSES):
            pool.submit(figures.prepare)
        yield Drawing(pool)


def _watch_parent() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Otherwise this process would wait for work for ever if the command is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
