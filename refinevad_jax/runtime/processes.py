"""Several processes that train one run together: all of them compute, the first alone writes."""

import os
import sys

from refinevad_jax.errors import UserError


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
            jax.distributed.initialize()
        else:
            if num_processes is None or process_id is None or process_id >= num_processes:
                raise UserError(
                    f"--coordinator={coordinator} needs --num_processes=N and --process_id from 0 "
                    "to N - 1, a different one in every process"
                )
            jax.distributed.initialize(coordinator, num_processes, process_id)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"--coordinator={coordinator}: {error}") from error
    if not primary():
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123


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
