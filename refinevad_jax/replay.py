"""Repeats the step at which training met a value that is not finite.

  python -m refinevad_jax.replay --failure=runs/ucf/failure-step1234.npz

Training wrote the file when it stopped; it holds parameters, batch and configuration, so that
neither the data set nor the workdir is needed. Says what is not finite: features, parameters, terms
of the loss, gradients. Exit code 1 if something is not finite, 0 if the step is clean here.
"""

import pathlib
import sys

from absl import flags

from refinevad_jax.runtime import command_line

FAILURE = flags.DEFINE_string(
    "failure", None, "File that training wrote when it stopped.", required=True
)


def main() -> None:
    """Reads, computes, says what it found."""
    from refinevad_jax.runtime.compiler import enable_cache
    from refinevad_jax.training import failures

    enable_cache()
    failure = failures.read(pathlib.Path(FAILURE.value))
    numbers, found = failures.replay(failure)
    print(f"step {failure.step + 1}, seed {failure.run.config.seed}")
    print(f"  in training   {failure.term} was {failure.value}")
    print("  here          " + ", ".join(f"{key} {value}" for key, value in numbers.items()))
    for line in found:
        print(f"  not finite:   {line}")
    if found:
        sys.exit(1)
    print("  every value is finite here: another device or version, or a fault of the machine")


if __name__ == "__main__":
    command_line.run(main)
