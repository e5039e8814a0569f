"""RTFM on the same bags as ours, its step chosen by the same rule.

RTFM (Tian et al., ICCV 2021) is written here after its paper in PyTorch, which must be installed;
its sizes and weights of losses are the published ones, the input width is the data's. A seed is
looked at every five steps. The step is the one that video-level labels of --selection_split choose,
as ours are chosen, so --split may be a test split. If both are one split, a second row has the step
with the highest frame AUC on these videos, as the published training code keeps it: optimistic.

    python -m benchmarks.rtfm --data_dir=data --dataset=ucf_text --split=val

Prints a table and, as the last line, the same numbers as JSON. On two cores a seed takes minutes.
"""

from benchmarks import peers
from refinevad_jax.runtime.command_line import run

peers.data_flags()
peers.training_flags(steps=700)


def main() -> None:
    """Trains and prints."""
    print(peers.run_system("RTFM", "rtfm_network", peers.Task.of_flags()))


if __name__ == "__main__":
    run(main)
