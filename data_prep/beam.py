"""Pipelines on Apache Beam: made from flags, run quietly, their failures as one line.

A worker makes one file per video in a folder that all workers share; the runner carries what names
a video, and no arrays. On several machines, inputs must be on a shared file system too, and every
worker, and the scheduler of Dask, must have this package in the same version (docs/scaling.md).
"""

import contextlib
import io
import itertools
import logging
import os
import pathlib
import re
import shlex
import shutil
import socket
import sys
import threading
import time
import uuid
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tqdm

from refinevad_jax import __version__
from refinevad_jax.errors import UserError

# Beam finds its other runners by their names alone.
_FULL_NAMES = {"DaskRunner": "apache_beam.runners.dask.dask_runner.DaskRunner"}
# Tasks of a pipeline, at most. A scheduler of Dask needs kilobytes and milliseconds for each.
_TASKS = 10_000


class RunnerError(UserError):
    """A runner or its cluster failed, and not the work: the same command may go on."""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences warnings of Beam's libraries, which mean nothing here; failures are exceptions."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@_quiet()
def make_pipeline(runner: str, *, workers: int = 1, options: str = "") -> Any:
    """An empty pipeline.

    runner: name of a Beam runner; workers: processes of DirectRunner, or what a distributed runner
    starts with; options: further pipeline options, as on a command line. Raises UserError if Beam
    is not installed or does not know the runner or an option.
    """
    if not runner:
        raise UserError("--beam_workers and --beam_options need --beam_runner, as DirectRunner")
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners import create_runner
    except ImportError as error:
        raise UserError(
            f"--beam_runner={runner} needs Apache Beam ({error}): pip install apache-beam"
        ) from error
    problem = io.StringIO()
    flags = [f"--direct_num_workers={workers}", f"--num_workers={workers}"]
    try:
        flags += shlex.split(options)
        with contextlib.redirect_stderr(problem):
            # A runner brings its options: they are known once it has been imported.
            local = runner == "DirectRunner"
            chosen = _local_runner() if local else create_runner(_FULL_NAMES.get(runner, runner))
            parsed = PipelineOptions(flags)
            known = parsed.get_all_options()
            every = parsed.get_all_options(retain_unknown_options=True)
            if unknown := sorted(set(every) - set(known)):
                raise UserError(f"Beam knows no option {', '.join(unknown)} of this runner")
            if _is_dask(chosen) and workers > 1:
                raise UserError(
                    "--beam_workers has no effect, the cluster has its own; leave it out"
                )
            return beam.Pipeline(runner=chosen, options=parsed)
    except (Exception, SystemExit) as error:  # argparse prints and exits
        reason = problem.getvalue().strip().splitlines()[-1:] or [str(error)]
        if isinstance(error, ModuleNotFoundError) and error.name in ("dask", "distributed"):
            reason = [f"{error}: pip install apache-beam[dask]"]
        given = f"--beam_runner={runner}" + (f" --beam_options={options!r}" if options else "")
        raise UserError(f"{given}: {reason[0]}") from error


def _is_dask(runner: Any) -> bool:
    """Whether it is Beam's runner on Dask."""
    return type(runner).__module__.startswith("apache_beam.runners.dask.")


def _local_runner() -> Any:
    """What DirectRunner stands for: worker processes on this machine, without their chatter.

    Beam's own class of that name would prefer a runner that it downloads.
    """
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from apache_beam.transforms.environments import SubprocessSDKEnvironment

    # An interrupt ends the workers through this process, without a traceback from each.
    python = shlex.quote(sys.executable)
    command = f"trap '' INT; exec {python} -m apache_beam.runners.worker.sdk_worker_main"
    environment = SubprocessSDKEnvironment.from_command_string(f"{command} 2>{os.devnull}")
    return FnApiRunner(default_environment=environment)


def map_to_files(
    pipeline: Any,
    runner: str,
    make: Callable[[Any], Sequence[bytes]],
    elements: Sequence[tuple[str, Any]],
    folder: pathlib.Path,
    *,
    what: str,
    flag: str,
) -> Iterator[pathlib.Path]:
    """Makes a file of each element in the workers; gives the files in the elements' order.

    Args:
        pipeline: an empty one, of make_pipeline.
        runner: its name, for errors.
        make: gives the content of an element's file, in parts, or raises UserError.
        elements: each with its name, for errors.
        folder: for the files; all workers have to share it. What an earlier call for the same
            elements has left there is taken over.
        what: is made, for the bar.
        flag: the one that decides where the folder is.

    Raises UserError if `make` does for any element or a file is missing, RunnerError if the
    pipeline fails.
    """
    done = folder / "done"
    done.mkdir(exist_ok=True)
    made = {path.name for path in done.iterdir()}
    numbers = [f"{i:09d}" for i in range(len(elements))]
    left = [(n, one) for n, (_, one) in zip(numbers, elements, strict=True) if n not in made]
    if left:
        with _progress(done, len(elements), what):
            failed = _make_files(pipeline, make, left, folder)
        if failed:
            raise RunnerError(
                f"--beam_runner={runner}: {failed}; {sum(1 for _ in done.iterdir())} of "
                f"{len(elements)} {what} are made, the same command goes on from there"
            )
    del left, made
    for (name, _), number in zip(elements, numbers, strict=True):
        if not (done / number).exists():
            raise UserError(
                f"--beam_runner={runner}: nothing of {name} came to {done}; {flag} must be on a "
                "file system that all workers share"
            )
        yield done / number


def _make_files(
    pipeline: Any,
    make: Callable[[Any], Sequence[bytes]],
    numbered: Sequence[tuple[str, Any]],
    folder: pathlib.Path,
) -> str:
    """Runs make_files in workers; "" or why the runner failed. Raises UserError if make does."""
    import apache_beam as beam

    errors = folder / "errors"
    shutil.rmtree(errors, ignore_errors=True)
    errors.mkdir()
    _one_per_dask_task(pipeline)
    (
        pipeline
        | "elements" >> beam.Create(list(_tasks(numbered)))
        | "spread" >> beam.Reshuffle()
        | "files" >> beam.Map(make_files, make=make, folder=folder, version=__version__)
    )
    failed = _run(pipeline)
    for path in sorted(errors.iterdir()):
        raise UserError(path.read_text(encoding="utf-8"))
    return failed


def _tasks(numbered: Sequence[tuple[str, Any]]) -> Iterator[bytes]:
    """The numbered elements in at most _TASKS parts of equal size, in bytes.

    As bytes they need a fraction of the memory, and neither runner nor scheduler looks inside.
    """
    import apache_beam as beam

    coder = beam.coders.PickleCoder()
    size = -(-len(numbered) // _TASKS)
    for start in range(0, len(numbered), size):
        yield zlib.compress(coder.encode(numbered[start : start + size]))


def make_files(
    task: bytes,
    *,
    make: Callable[[Any], Sequence[bytes]],
    folder: pathlib.Path,
    version: str,
) -> None:
    """Writes the files of a task's elements, or why one cannot be made; runs in a worker.

    What is there already is left as it is: the worker that had the task before may have died. After
    a first error, of any worker, the rest is left out. version: of this package where the command
    runs.
    """
    import apache_beam as beam

    if version != __version__:
        words = f"{socket.gethostname()} has {__version__}: {_workers_need(version)}"
        return _write(folder, "errors", "version", [words.encode()])
    for number, element in beam.coders.PickleCoder().decode(zlib.decompress(task)):
        if any((folder / "errors").iterdir()):
            return
        if (folder / "done" / number).exists():
            continue
        try:
            parts, kind = make(element), "done"
        except (UserError, OSError) as error:
            parts, kind = [str(error).encode()], "errors"
        _write(folder, kind, number, parts)


def _write(folder: pathlib.Path, kind: str, name: str, parts: Sequence[bytes]) -> None:
    """Writes a file below folder / kind. It appears by a rename, two workers may write the same."""
    temporary = folder / f"{name}-{uuid.uuid4().hex}"
    with temporary.open("wb") as file:
        file.writelines(parts)
    temporary.rename(folder / kind / name)


def _workers_need(version: str) -> str:
    return f"every worker, and Dask's scheduler, needs refinevad_jax {version} with the extra beam"


def _one_per_dask_task(pipeline: Any) -> None:
    """Lets Dask make a task of each element, unless --beam_options says how many are one.

    By itself it takes 128, and few workers would be busy.
    """
    if _is_dask(pipeline.runner):
        from apache_beam.runners.dask.dask_runner import DaskOptions

        options = pipeline.options.view_as(DaskOptions)
        if not options.npartitions and not options.partition_size:
            options.partition_size = 1


@_quiet()
def _run(pipeline: Any) -> str:
    """Runs to the end; "" or the last line of what a worker or the runner said."""
    result = client = None
    try:
        result = pipeline.run()
        if client := getattr(result, "client", None):
            _await_dask_workers(client)
        state = result.wait_until_finish()
        if any(future.status != "finished" for future in getattr(result, "futures", ())):
            state = "LOST"  # Beam says DONE
    except Exception as error:  # each runner has its own kinds, with the worker's traceback as text
        if missing := re.search(r"No module named '[\w.]+'", f"{error} {error.__cause__}"):
            return f"{missing[0]}; {_workers_need(__version__)}"
        lines = [line for line in str(error).splitlines() if line.strip()] or [repr(error)]
        return lines[-1].strip()
    finally:
        if client:
            client.close()
    if state == "LOST":
        return "Dask's scheduler has gone"
    return "" if state == "DONE" else f"the pipeline ended as {state}; see its logs"


def _await_dask_workers(client: Any) -> None:
    """Returns once a worker is there, which may have to wait in a queue; says so meanwhile."""
    for seconds in itertools.chain([10], itertools.repeat(60)):
        with contextlib.suppress(TimeoutError):
            return client.wait_for_workers(1, timeout=seconds)
        print("note: Dask's scheduler has no worker yet; waiting for one", file=sys.stderr)


@contextlib.contextmanager
def _progress(folder: pathlib.Path, total: int, what: str) -> Iterator[None]:
    """Shows how many files the workers have made; nothing if stderr is a file.

    It counts once a second, or less often if a folder is so large that counting takes long.
    """
    done = threading.Event()
    with tqdm.tqdm(total=total, desc=what, unit="video", leave=False, disable=None) as bar:

        def watch() -> None:
            pause = 1.0
            while not done.wait(pause):
                start = time.monotonic()
                bar.update(sum(1 for _ in folder.iterdir()) - bar.n)
                pause = max(1.0, 20 * (time.monotonic() - start))

        thread = threading.Thread(target=watch, daemon=True)
        if not bar.disable:
            thread.start()
        try:
            yield
        finally:
            done.set()
            if thread.is_alive():
                thread.join()
