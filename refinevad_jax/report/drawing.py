"""Draws figures in other processes while the caller goes on: threads would wait for each other."""

import concurrent.futures
import contextlib
import functools
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from multiprocessing import resource_tracker
from typing import Any

from refinevad_jax.errors import UserError
from refinevad_jax.report import figures

# One draws while the other does; a process takes half a second to start.
NUM_PROCESSES = 2


class Drawing:
    """Figures under way."""

    def __init__(self, pool: concurrent.futures.Executor | None) -> None:
        """pool: None draws at once."""
        self._pool = pool
        self._found: list[tuple[concurrent.futures.Future[None], Callable[[], None]]] = []

    def __call__(self, draw: Callable[..., None], *arguments: Any, **options: Any) -> None:
        """Starts to draw. draw: a function of `figures`; the others are its arguments."""
        here = functools.partial(draw, *arguments, **options)
        if self._pool is not None:
            with contextlib.suppress(BrokenExecutor):
                self._found.append((self._pool.submit(draw, *arguments, **options), here))
                return
        with _faults_of_matplotlib():
            here()

    @contextlib.contextmanager
    def finished(self) -> Iterator[None]:
        """At the end of the block all figures are in their files. Raises what drawing one raised.

        After an error nothing is drawn any more, so that the folder can be removed. If a process
        was killed, what it had to draw is drawn here.
        """
        try:
            yield
            with _faults_of_matplotlib():
                for future, here in self._found:
                    try:
                        future.result()
                    except BrokenExecutor:
                        here()
        finally:
            for future, _ in self._found:
                future.cancel()
            concurrent.futures.wait([future for future, _ in self._found])


@contextlib.contextmanager
def _faults_of_matplotlib() -> Iterator[None]:
    """Raises UserError instead of an error in the block if matplotlib cannot make any figure."""
    try:
        yield
    except Exception as error:
        try:
            figures.prepare()
        except Exception as fault:
            raise UserError(
                f"figures cannot be drawn: matplotlib does not work here ({type(fault).__name__}: "
                f"{fault}); pip install --force-reinstall matplotlib, or draw none (--num_curves=0)"
            ) from error
        raise


@contextlib.contextmanager
def started(*, apart: bool) -> Iterator[Drawing]:
    """What figures are drawn with.

    apart: in processes that start now. Each imports the file that Python was started with, so that
    this is for commands, and not for a script that does more when it is imported.
    """
    if not apart:
        yield Drawing(None)
        return
    _start_tracker_quietly()
    context = multiprocessing.get_context("spawn")  # JAX has threads, which a fork would lose
    with concurrent.futures.ProcessPoolExecutor(
        NUM_PROCESSES, mp_context=context, initializer=_watch_parent
    ) as pool:
        for _ in range(NUM_PROCESSES):
            pool.submit(figures.prepare)
        yield Drawing(pool)


def _start_tracker_quietly() -> None:
    """Python's process that removes semaphores would warn of them after a Ctrl-C."""
    sys.warnoptions.append("ignore:resource_tracker:UserWarning")  # handed to it as -W
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.pop()


def _watch_parent() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Otherwise this process would wait for work for ever if the command is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
