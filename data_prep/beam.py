"""Pipelines on Apache Beam: made from flags, run quietly, their failures as one line."""

import contextlib
import io
import logging
import os
import shlex
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import tqdm

from refinevad_jax.errors import UserError


def make_pipeline(runner: str, *, workers: int = 1, options: str = "") -> Any:
    """An empty pipeline.

    Args:
        runner: name of a Beam runner.
        workers: processes of DirectRunner; what a distributed runner starts with.
        options: further pipeline options, as on a command line.

    Raises UserError if Beam is not installed or does not know the runner or an option.
    """
    if not runner:
        raise UserError("--beam_workers and --beam_options need --beam_runner, as DirectRunner")
    with quiet():
        return _pipeline(runner, workers, options)


def _pipeline(runner: str, workers: int, options: str) -> Any:
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


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences warnings of Beam's libraries, which mean nothing here; failures are exceptions."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


def run_pipeline(pipeline: Any, runner: str) -> None:
    """Runs to the end. Raises UserError with the last line of what a worker or the runner said."""
    try:
        with quiet():
            state = pipeline.run().wait_until_finish()
    except Exception as error:  # each runner has its own kinds, with the worker's traceback as text
        lines = [line for line in str(error).splitlines() if line.strip()] or [repr(error)]
        raise UserError(f"--beam_runner={runner}: {lines[-1].strip()}") from error
    if state != "DONE":
        raise UserError(f"--beam_runner={runner}: the pipeline ended as {state}; see its logs")


@contextlib.contextmanager
def progress(count: Callable[[], int], total: int, *, what: str) -> Iterator[None]:
    """Shows how many videos are done, once a second; nothing if stderr is a file.

    count: says how many are done; what: what is being made.
    """
    done = threading.Event()
    with tqdm.tqdm(total=total, desc=what, unit="video", leave=False, disable=None) as bar:

        def watch() -> None:
            while not done.wait(1):
                bar.update(count() - bar.n)

        thread = threading.Thread(target=watch, daemon=True)
        if not bar.disable:
            thread.start()
        try:
            yield
        finally:
            done.set()
            if thread.is_alive():
                thread.join()
