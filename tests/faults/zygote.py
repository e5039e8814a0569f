"""Runs commands of the project in children of a process that has imported the libraries.

Reads one JSON line a command: {"argv": [MODULE, FLAG, ...], "log": FILE, "env": {...}}. Answers
with a line {"pid": ...} when the child runs and a line {"status": exit code or -signal} when it has
ended. A child is killed like any process; without seconds of importing, kills fall on the work.
"""

import contextlib
import importlib
import json
import os
import runpy
import sys
import warnings

LIBRARIES = (
    "tests.conftest",
    "array_record.python.array_record_module",
    "jinja2",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "orbax.checkpoint.v1",
    "plotly.offline",
    "tensorboardX",
    "tensorflow_datasets",
    "refinevad_jax.detection.run_detection",
    "refinevad_jax.evaluation.run",
    "refinevad_jax.training.loop",
    "data_prep.sources.package",
)


def main() -> None:
    """Imports, then serves until the end of standard input."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    warnings.filterwarnings("ignore", message=".*os.fork.*")
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
            run(order)
        print(json.dumps({"pid": pid}), flush=True)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), flush=True)


def run(order: dict) -> None:
    """The child: standard streams to the log, then the command as `python -m` runs it."""
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.environ.update(order.get("env", {}))
    module, *flags = order["argv"]
    sys.argv = [module, *flags]
    code = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
