"""Several processes that train one run together: all of them compute, the first alone writes.

If one of them ends, the others end too, in seconds: between two processors the connection breaks,
and between GPUs the first process misses the heartbeat of the lost one. JAX then aborts a process
from its own thread; what it writes beforehand is read here, so that one line and an exit code
come of it.
"""

import atexit
import contextlib
import ctypes
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator

from refinevad_jax.errors import UserError
from refinevad_jax.runtime.command_line import TRY_AGAIN, one_line

HEARTBEAT_SECONDS = 20  # JAX waits 100
# What JAX says right before it aborts, and what a collective says whose partner has gone.
_ABORTS = re.compile(
    rb"Terminating process because the JAX distributed service|"
    rb"Polled an error from coordination service|Use error polling to propagate|"
    rb"Shutdown barrier in coordination service has failed"
)
# What it says of its watch for preemption when process 0 has ended, lines before the above.
_BEFORE = re.compile(
    rb"preemption_sync_manager|^Additional GRPC error information|^:UNKNOWN:Error received from"
)
_BROKEN = re.compile(
    r"(UNKNOWN|UNAVAILABLE|INTERNAL|ABORTED|CANCELLED|DEADLINE_EXCEEDED|FAILED_PRECONDITION): "
    r".*\b(gloo|nccl|coordination|connection|heartbeat|barrier)",
    re.IGNORECASE | re.DOTALL,
)


def connect(coordinator: str, num_processes: int | None, process_id: int | None) -> None:
    """Joins the other processes of a run; does nothing if coordinator is empty.

    coordinator: HOST:PORT of process 0, the same in all of them; "auto" if Slurm, Open MPI,
    Kubernetes or a TPU pod tell JAX who takes part. The others print nothing but errors.
    Raises UserError if the numbers do not fit, or the others cannot be reached.
    """
    if not coordinator:
        if num_processes is not None or process_id is not None:
            raise UserError("--num_processes and --process_id need --coordinator=HOST:PORT")
        return
    import jax

    try:
        if coordinator == "auto":
            jax.distributed.initialize(heartbeat_timeout_seconds=HEARTBEAT_SECONDS)
        else:
            if num_processes is None or process_id is None or process_id >= num_processes:
                raise UserError(
                    f"--coordinator={coordinator} needs --num_processes=N and --process_id from 0 "
                    "to N - 1, a different one in every process"
                )
            jax.distributed.initialize(
                coordinator,
                num_processes,
                process_id,
                heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            )
    except (RuntimeError, ValueError) as error:
        raise UserError(f"--coordinator={coordinator}: {error}") from error
    _end_instead_of_abort()
    if not primary():
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Ends this process with one line if another one ends in the block."""
    import jax

    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:  # either, as it happens
        if jax.process_count() == 1 or not _BROKEN.search(str(error)):
            raise
        _end(str(error))


def _end(reason: str) -> None:
    """Ends at once: JAX would wait for the others at a normal end."""
    text = (
        "error: another process of this run has ended or cannot be reached; start all of them "
        "again with the same commands, they go on from the last checkpoint "
        f"({one_line(reason)[:200]})\n"
    )
    with contextlib.suppress(OSError, ValueError):
        os.write(sys.stderr.fileno(), text.encode())
    os._exit(TRY_AGAIN)


def _end_instead_of_abort() -> None:
    """Reads what libraries write on stderr, passes it on, and ends before JAX aborts.

    An abort waits for six seconds: sleep() of C is its handler and takes the signal's number.
    """
    if os.name != "posix":
        return
    import jax

    terminal = os.dup(2)
    read, write = os.pipe()
    os.dup2(write, 2)
    os.close(write)
    sys.stderr = open(terminal, "w", buffering=1, encoding="utf-8")  # noqa: SIM115, PTH123
    libc = ctypes.CDLL(None)
    libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    libc.signal(signal.SIGABRT, ctypes.cast(libc.sleep, ctypes.c_void_p))

    def pass_on() -> None:
        with os.fdopen(read, "rb") as lines:
            for line in lines:
                if _ABORTS.search(line):
                    _end(line.decode(errors="replace").rpartition("] ")[2])
                if not _BEFORE.search(line):
                    os.write(terminal, line)

    thread = threading.Thread(target=pass_on, daemon=True)
    thread.start()

    def restore() -> None:
        jax.distributed.shutdown()  # waits for the others, any of which may have ended
        os.dup2(terminal, 2)
        thread.join(1)

    atexit.register(restore)


def primary() -> bool:
    """Whether this process is the one that writes."""
    import jax

    return jax.process_index() == 0


def wait(name: str) -> None:
    """Returns when all processes have come to this place; at once if there is only one."""
    import jax

    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def any_of(answer: bool) -> bool:
    """Whether any process says yes; all of them must ask."""
    import jax

    if jax.process_count() == 1:
        return answer
    from jax.experimental import multihost_utils

    return bool(multihost_utils.process_allgather(jax.numpy.asarray(answer)).any())
