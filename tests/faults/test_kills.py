"""SIGKILL at random moments: what is visible is whole, and the same command ends the same."""

import pathlib
import random

import pytest

from tests.conftest import LONG
from tests.faults.conftest import Record, Zygote
from tests.faults.scenarios import SCENARIOS, Ground, check_visible, fresh, leftovers, outputs

KILLS = 50 if LONG else 2
CHAIN = 3  # kills at most, in the long form, before the command is left to end
MAX_TRIES = 10 * KILLS


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_random_moments(
    name: str, ground: Ground, zygote: Zygote, tmp_path: pathlib.Path, record: Record
) -> None:
    scenario, rng = SCENARIOS[name], random.Random(name)
    reference_dir = fresh(ground, name, tmp_path / "out")
    arguments = scenario.arguments(ground, reference_dir)
    status, duration = zygote.start(arguments)
    assert status == 0, zygote.said()
    reference = outputs(reference_dir)
    assert reference and not leftovers(reference_dir)
    earlier: list[dict[str, str]] = []
    kills = tries = completions = 0
    while kills < KILLS:
        out = fresh(ground, name, tmp_path / "out")
        earlier = [outputs(out)]
        if scenario.whole and completions % 2:  # with an earlier result in its place
            assert zygote.start(arguments)[0] == 0
            earlier = [outputs(out)]
        for _ in range(rng.randint(1, CHAIN) if LONG else KILLS):
            tries += 1
            assert tries < MAX_TRIES, f"{kills} kills of {tries} fell into the run"
            status, _ = zygote.start(arguments, after=rng.uniform(0, duration))
            assert status in (0, -9), zygote.said()
            kills += status == -9
            check_visible(name, out, reference, earlier)
        status, duration = zygote.start(arguments)
        assert status == 0, zygote.said()
        completions += 1
        assert outputs(out) == reference
        assert leftovers(out) == []
    record.add("SIGKILL", name, kills=kills, completed=completions, different=0, half_files=0)
