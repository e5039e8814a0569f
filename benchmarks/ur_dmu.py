"""UR-DMU on the same bags as ours, its step chosen by the same rule.

UR-DMU (Zhou, Yu and Yang, AAAI 2023) is written here after its paper in PyTorch, which must be
installed: published sizes and weights of losses, the input width is the data's. Published are 200
bins per video and 3,000 steps; --num_segments and --steps set both. The other flags and the rows
are those of benchmarks.rtfm.

    python -m benchmarks.ur_dmu --data_dir=data --dataset=ucf_text --split=val --seeds=3
"""

from benchmarks import peers
from refinevad_jax.runtime.command_line import run

peers.data_flags()
peers.training_flags(steps=300)


def main() -> None:
    """Trains and prints."""
    print(peers.run_system("UR-DMU", "ur_dmu_network", peers.Task.of_flags()))


if __name__ == "__main__":
    run(main)
