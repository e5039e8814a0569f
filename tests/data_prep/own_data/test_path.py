"""The whole path, with stand-ins for its commands: what is run, kept, and left out."""

import json
import pathlib
import shlex
import shutil
from collections.abc import Sequence

import pytest

from data_prep.own_data import steps
from data_prep.own_data.path import Request, make_detector
from refinevad_jax.data.bags import dataset_dir
from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import file_sha256
from tests.data_prep.own_data.test_videos import clip, put

__all__ = ["clip"]

VIDEOS = [f"normal/n{i}.mp4" for i in range(6)] + [f"fight/f{i}.mp4" for i in range(4)]


class Commands:
    """Stand-ins that write what the public commands do, and remember what was called."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.codes: dict[str, int] = {}
        self.damaged: dict[str, list[str]] = {}

    def __call__(self, command: Sequence[str]) -> int:
        module, words = command[2], dict(word.split("=", 1) for word in command[3:] if "=" in word)
        name = module.rpartition(".")[2]
        self.called.append(name)
        self.words = list(command[3:])
        if code := self.codes.pop(name, 0):
            return code
        getattr(self, name)(words)
        return 0

    def extract(self, words: dict[str, str]) -> None:
        for link in pathlib.Path(words["--videos"]).iterdir():
            file = pathlib.Path(words["--output"]) / f"{link.stem}.npy"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(link.read_bytes())
            record = {"encoder": "means", "num_frames": 16, "num_segments": 1, "fps": 25.0}
            record["features_sha256"] = file_sha256(file)
            record["warnings"] = self.damaged.get(link.stem, [])
            file.with_suffix(".json").write_text(json.dumps(record))

    def check(self, words: dict[str, str]) -> None:
        assert (pathlib.Path(words["--features"])).is_dir()

    def package(self, words: dict[str, str]) -> None:
        folder = dataset_dir(words["--data_dir"], words["--name"])
        assert folder.exists() == ("--overwrite" in self.words)
        folder.mkdir(parents=True, exist_ok=True)

    def main(self, words: dict[str, str]) -> None:
        workdir = pathlib.Path(words["--workdir"])
        workdir.mkdir(parents=True, exist_ok=True)
        (workdir / "config.json").write_text(words["--config.data.dataset"])
        (workdir / "metrics.jsonl").write_text("{}")

    def evaluate(self, words: dict[str, str]) -> None:
        run = pathlib.Path(words["--workdir"])
        folder = run / "eval" / f"{(run / 'config.json').read_text()}-test-best"
        folder.mkdir(parents=True, exist_ok=True)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    commands = Commands()
    monkeypatch.setattr(steps, "_call", commands)
    return commands


@pytest.fixture
def root(clip: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    put(clip, tmp_path / "clips", *VIDEOS)
    return tmp_path


def go(
    root: pathlib.Path, *, fraction: float = 0.3, asked: bool = False, name: str = "gate"
) -> int:
    return make_detector(
        Request(
            name=name,
            output=root / "gate",
            videos=root / "clips",
            labels=None,
            normal="",
            encoder="i3d",
            weights="",
            test_fraction=fraction,
            asked=asked,
            again="the same call",
        )
    )


ALL = ["extract", "check", "package", "main", "evaluate"]


def test_all_steps_then_none(
    root: pathlib.Path, commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.damaged = {"fight-f1": ["1 packet could not be decoded"]}
    assert go(root) == 0
    assert commands.called == ALL
    said = capsys.readouterr().out
    says = "warning: used, but look at them: fight/f1.mp4 (1 packet could not be decoded)"
    assert said.splitlines()[-2] == says
    assert "10 videos (Normal 6, fight 4)" in said and "test-best/report.html" in said
    assert "2 normal and 1 anomalous test videos: the numbers are noise" in said
    *_, last = said.splitlines()
    words = shlex.split(last.removeprefix("next: "))
    assert words[:3] == ["python", "-m", "refinevad_jax.detect"]
    assert f"--workdir={root / 'gate' / 'run'}" in words
    assert go(root) == 0
    assert commands.called == ALL
    assert capsys.readouterr().out.count("done before") == 5


@pytest.mark.parametrize(("step", "code"), [("extract", 130), ("check", 1), ("main", 75)])
def test_goes_on_where_it_ended(
    root: pathlib.Path,
    commands: Commands,
    step: str,
    code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    commands.codes = {step: code}
    assert go(root) == code
    assert commands.called == ALL[: ALL.index(step) + 1]
    assert "to go on: the same call" in capsys.readouterr().err
    commands.called.clear()
    assert go(root) == 0
    assert commands.called == ALL[ALL.index(step) :]


def test_what_was_removed_is_made_again(root: pathlib.Path, commands: Commands) -> None:
    go(root)
    commands.called.clear()
    dataset_dir(str(root / "gate" / "data"), "gate").rmdir()
    (root / "gate" / "features" / "fight-f0.json").unlink()
    go(root)
    assert commands.called == ["extract", "package"]
    record = root / "gate" / "features" / "fight-f0.json"
    record.write_text('{"features_sha256": 1}')
    with pytest.raises(UserError, match=r"fight-f0\.json: not a record"):
        go(root)


@pytest.mark.parametrize(("removed", "step"), [("run", "main"), ("data", "package")])
def test_what_was_removed_is_made_again_and_not_taken_for_done_when_half_made(
    root: pathlib.Path, commands: Commands, removed: str, step: str
) -> None:
    assert go(root) == 0
    shutil.rmtree(root / "gate" / removed)
    commands.codes = {step: 75}
    assert go(root) == 75
    for name in ("run/config.json", "run/metrics.jsonl", "data/bags/half"):  # as if it had begun
        (root / "gate" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "gate" / name).write_text("gate")
    commands.called.clear()
    assert go(root) == 0
    assert commands.called[0] == step and not (root / "gate" / "run_2").exists()


def test_edited_lists_that_cannot_be_meant_are_refused(
    root: pathlib.Path, commands: Commands
) -> None:
    go(root)
    commands.called.clear()
    train, test = (root / "gate" / "lists" / f"{name}.csv" for name in ("train", "test"))
    train.write_text(train.read_text().replace(",fight,", ",Fight,", 1))
    with pytest.raises(UserError, match="labels 'Fight' and 'fight' differ in case only"):
        go(root)
    train.unlink()
    test.write_text(test.read_text() + "normal-n9.mp4,Normal,\n")
    with pytest.raises(UserError, match=r"train\.csv: is missing, and test\.csv was edited"):
        go(root)
    assert commands.called == []


def test_new_videos_make_a_new_run(
    root: pathlib.Path, clip: pathlib.Path, commands: Commands
) -> None:
    go(root)
    lists = [root / "gate" / "lists" / f"{name}.csv" for name in ("train", "test")]
    before = [set(path.read_text().splitlines()[4:]) for path in lists]
    put(clip, root / "clips", "normal/new.mp4", "fall/a.mp4", "fall/b.mp4")
    commands.called.clear()
    go(root)
    assert commands.called == ALL
    after = [set(path.read_text().splitlines()[4:]) for path in lists]
    assert before[0] < after[0] and before[1] <= after[1]
    assert (root / "gate" / "run" / "config.json").read_text() == "gate"
    assert (root / "gate" / "run_2" / "config.json").read_text() == "gate_2"
    taxonomy = json.loads((root / "gate" / "taxonomy.json").read_text())
    assert taxonomy["categories"] == ["fall", "fight"]
    for name in ("normal/new.mp4", "fall/a.mp4", "fall/b.mp4"):  # back to the first run
        (root / "clips" / name).unlink()
    commands.called.clear()
    go(root)
    assert commands.called == ["extract", "check"]


def test_input_that_changes_before_training_needs_no_new_run(
    root: pathlib.Path, clip: pathlib.Path, commands: Commands
) -> None:
    commands.codes = {"main": 130}
    go(root)
    put(clip, root / "clips", "normal/new.mp4")
    go(root)
    assert "run_2" not in [path.name for path in (root / "gate").iterdir()]


def test_edited_lists_are_kept(
    root: pathlib.Path,
    clip: pathlib.Path,
    commands: Commands,
    capsys: pytest.CaptureFixture[str],
) -> None:
    go(root)
    path = root / "gate" / "lists" / "train.csv"
    text = path.read_text().replace("normal-n0.mp4,Normal", "normal-n0.mp4,fight")
    edited = [line for line in text.splitlines() if "normal-n1" not in line]
    path.write_text("\n".join(edited))
    put(clip, root / "clips", "normal/new.mp4")
    capsys.readouterr()
    go(root)
    said = capsys.readouterr().out
    assert "edited by you" in said and "in no list, so not used:" in said
    assert "normal/new.mp4" in said
    assert path.read_text() == "\n".join(edited)
    path.unlink()
    (path.parent / "test.csv").unlink()
    go(root)
    assert "normal-new" in "".join(file.read_text() for file in path.parent.iterdir())


def test_display_names_are_kept(root: pathlib.Path, commands: Commands, clip: pathlib.Path) -> None:
    go(root)
    path = root / "gate" / "taxonomy.json"
    path.write_text('{"name": "gate", "categories": ["fight"], "display_names": ["A fight"]}')
    put(clip, root / "clips", "fall/a.mp4", "fall/b.mp4")
    go(root)
    assert json.loads(path.read_text())["display_names"] == ["fall", "A fight"]


def test_another_fraction_is_not_ignored(root: pathlib.Path, commands: Commands) -> None:
    for _ in range(2):
        assert go(root, fraction=0.4567891234, asked=True) == 0
    go(root)  # the default is not asked for
    with pytest.raises(UserError, match=r"were made with 0\.456789"):
        go(root, fraction=0.3, asked=True)
    path = root / "gate" / "lists" / "train.csv"
    path.write_text(path.read_text().replace("0.4567891234", "1-2", 1))
    assert go(root) == 0  # edited, so both lists stay


def test_very_few_videos(
    clip: pathlib.Path, tmp_path: pathlib.Path, commands: Commands, capsys
) -> None:
    names = ["normal/a.mp4", "normal/b.mp4", "fight/a.mp4", "fight/b.mp4"]
    put(clip, tmp_path / "clips", *names)
    assert go(tmp_path) == 0
    assert commands.called == ALL[:-1]
    said = capsys.readouterr().out
    assert "nothing can be measured" in said and "--false_alarm_rate" not in said
    assert not (tmp_path / "gate" / "lists" / "test.csv").exists()


def test_problems_write_nothing(root: pathlib.Path, commands: Commands, capsys) -> None:
    (root / "clips" / "loose.mp4").touch()
    (root / "clips" / "fight" / "junk.mp4").write_text("junk")
    with pytest.raises(UserError, match=r"2 problems, listed above; nothing was written"):
        go(root)
    assert capsys.readouterr().err.count("problem: ") == 2
    assert not (root / "gate").exists()


def test_places_that_do_not_fit(root: pathlib.Path, commands: Commands) -> None:
    (root / "clips").rename(root / "gate")
    (root / "clips").symlink_to(root / "gate")
    with pytest.raises(UserError, match="must not lie in each other"):
        go(root)
    with pytest.raises(UserError, match=r"letters, digits"):
        go(root, name="a/b")


def test_foreign_files_among_the_links_stay(root: pathlib.Path, commands: Commands) -> None:
    file = root / "gate" / "videos" / "mine.mp4"
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    with pytest.raises(UserError, match="for links alone"):
        go(root)
    assert file.read_text() == "mine"


def test_links_follow_the_videos(root: pathlib.Path, commands: Commands) -> None:
    go(root)
    (root / "clips").rename(root / "moved")
    (root / "moved" / "fight" / "f3.mp4").unlink()
    (root / "clips").symlink_to(root / "moved")
    go(root)
    links = list((root / "gate" / "videos").iterdir())
    assert len(links) == 9 and all(link.exists() for link in links)
