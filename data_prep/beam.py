"""Pipelines on Apache Beam: made from flags, run quietly, their failures as one line.

A worker makes one file per video in a folder that all workers share; nothing but names passes
through the runner. On several machines, inputs must be on a shared file system too.
"""

import contextlib
import io
import logging
import os
import pathlib
import shlex
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tqdm

from refinevad_jax.errors import UserError


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences warnings of Beam's libraries, which mean nothing here; failures are exceptions."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
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
            parsed = PipelineOptions(flags)
            known = parsed.get_all_options()
            every = parsed.get_all_options(retain_unknown_options=True)
            if unknown := sorted(set(every) - set(known)):
                raise UserError(f"Beam knows no option {', '.join(unknown)}")
            chosen = _local_runner() if runner == "DirectRunner" else create_runner(runner)
            return beam.Pipeline(runner=chosen, options=parsed)
    except (Exception, SystemExit) as error:  # argparse prints and exits
        reason = problem.getvalue().strip().splitlines()[-1:] or [str(error)]
        given = f"--beam_runner={runner}" + (f" --beam_options={options!r}" if options else "")
        raise UserError(f"{given}: {reason[0]}") from error


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
        folder: an empty folder, for the files; all workers have to share it.
        what: is made, for the bar.
        flag: the one that decides where the folder is.

    Raises UserError if `make` does for any element, if the pipeline fails or a file is missing.
    """
    import apache_beam as beam

    done, errors = folder / "done", folder / "errors"
    done.mkdir()
    errors.mkdir()
    numbered = [(f"{i:09d}", element) for i, (_, element) in enumerate(elements)]
    (
        pipeline
        | "elements" >> beam.Create(numbered)
        | "spread" >> beam.Reshuffle()
        | "files" >> beam.Map(make_file, make=make, folder=folder)
    )
    with _progress(done, len(elements), what):
        _run(pipeline, runner)
    for path in sorted(errors.iterdir()):
        raise UserError(path.read_text(encoding="utf-8"))
    for (name, _), (number, _) in zip(elements, numbered, strict=True):
        if not (done / number).exists():
            raise UserError(
                f"--beam_runner={runner}: nothing of {name} came to {done}; {flag} must be on a "
                "file system that all workers share"
            )
        yield done / number


def make_file(
    element: tuple[str, Any], *, make: Callable[[Any], Sequence[bytes]], folder: pathlib.Path
) -> None:
    """Writes the file of one numbered element, or why it cannot be made; runs in a worker.

    After a first error the rest is left out. Files appear by a rename, since a runner may run an
    element twice.
    """
    number, content = element
    if any((folder / "errors").iterdir()):
        return
    try:
        parts, kind = make(content), "done"
    except (UserError, OSError) as error:
        parts, kind = [str(error).encode()], "errors"
    temporary = folder / f"{number}-{uuid.uuid4().hex}"
    with temporary.open("wb") as file:
        file.writelines(parts)
    temporary.rename(folder / kind / number)


@_quiet()
def _run(pipeline: Any, runner: str) -> None:
    """Runs to the end. Raises UserError with the last line of what a worker or the runner said."""
    try:
        state = pipeline.run().wait_until_finish()
    except Exception as error:  # each runner has its own kinds, with the worker's traceback as text
        lines = [line for line in str(error).splitlines() if line.strip()] or [repr(error)]
        raise UserError(f"--beam_runner={runner}: {lines[-1].strip()}") from error
    if state != "DONE":
        raise UserError(f"--beam_runner={runner}: the pipeline ended as {state}; see its logs")


@contextlib.contextmanager
def _progress(folder: pathlib.Path, total: int, what: str) -> Iterator[None]:
    """Shows how many files are in a folder, once a second; nothing if stderr is a file."""
    done = threading.Event()
    with tqdm.tqdm(total=total, desc=what, unit="video", leave=False, disable=None) as bar:

        def watch() -> None:
            while not done.wait(1):
                bar.update(sum(1 for _ in folder.iterdir()) - bar.n)

        thread = threading.Thread(target=watch, daemon=True)
        if not bar.disable:
            thread.start()
        try:
            yield
        finally:
            done.set()
            if thread.is_alive():
                thread.join()
