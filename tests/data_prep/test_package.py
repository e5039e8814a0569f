import pathlib
import subprocess

import numpy as np
import pytest

from refinevad_jax.data.bags import Modality, read_info, read_split
from tests.conftest import call


def package(*flags: str) -> subprocess.CompletedProcess:
    return call("data_prep.package", *flags)


@pytest.fixture
def own_data(tmp_path) -> pathlib.Path:
    """The ten lines of docs/data_format.md: taxonomy, lists, features and truth of one's own."""
    (tmp_path / "shop.json").write_text('{"categories": ["fall", "fire"], "separator": "+"}')
    (tmp_path / "train.csv").write_text(
        "path,label\na.npy,fall\nb.npy,Normal\ne.npy,fall+fire\nf.npy,fire\n"
    )
    (tmp_path / "test.csv").write_text("c.npy,fall+fire\nd.npy,Normal\n")
    for index, name in enumerate("abcdef"):
        np.save(tmp_path / f"{name}.npy", np.full((5, index + 2, 6), index, np.float32))
    (tmp_path / "truth.txt").write_text("c.mp4 fall 3 20 40 48\n")
    return tmp_path


def flags_for(folder: pathlib.Path, **changes: str) -> list[str]:
    flags = {
        "source": "features",
        "name": "shop",
        "data_dir": str(folder / "data"),
        "taxonomy": str(folder / "shop.json"),
        "features": str(folder),
        **changes,
    }
    lists = [f"--list={split}={folder / split}.csv" for split in ("train", "test")]
    return [*lists, *(f"--{key}={value}" for key, value in flags.items() if value)]


def test_own_data_become_a_data_set(own_data):
    extra = ["--modality=visual=4", "--modality=text=2", f"--annotations={own_data / 'truth.txt'}"]
    done = package(*flags_for(own_data), *extra)
    note, *others = done.stderr.splitlines()
    assert (done.returncode, others) == (0, [])
    assert note.endswith("because all numbers are whole; --unit=seconds if they are seconds")
    data_dir = str(own_data / "data")
    assert read_info(data_dir, "shop").modalities == (Modality("visual", 4), Modality("text", 2))
    c, d = read_split(data_dir, "shop", "test")
    assert (c.label, c.has_truth, d.has_truth) == ("fall+fire", True, True)
    assert c.spans.tolist() == [[3, 20, 0], [40, 48, 0]]
    assert c.features.shape == (5, 4, 6)
    assert not any(bag.has_truth for bag in read_split(data_dir, "shop", "train"))

    lines = [line.split() for line in done.stdout.splitlines()]
    assert "data set shop in" in done.stdout
    assert "D = 6 (visual 4 + text 2), 16 frames per segment" in done.stdout
    assert ["train", "4", "1", "3", "0", "5", "2/4.5/7"] in lines
    assert ["test", "2", "1", "1", "2", "5", "4/4.5/5"] in lines
    assert ["fall", "2", "1"] in lines
    assert ["fire", "2", "1"] in lines
    assert "next: python -m refinevad_jax.main --config=own" in done.stdout
    end = f"--config.data.dataset=shop --config.data.data_dir={data_dir} --workdir=runs/shop\n"
    assert done.stdout.endswith(end)

    again = package(*flags_for(own_data), *extra)
    assert (again.returncode, again.stderr) == (0, f"{note}\n")
    assert "nothing to do" in again.stdout

    other = package(*flags_for(own_data), *extra, "--num_crops=1")
    assert other.returncode == 2
    assert "made from other input" in other.stderr


def test_the_spellings_of_the_source_mean_the_same(own_data):
    flags = [*flags_for(own_data, source=""), "--modality=visual=4", "--modality=text=2"]
    (own_data / "audio").mkdir()
    for index, name in enumerate("abcdef"):  # one segment longer
        np.save(own_data / "audio" / f"{name}__vggish.npy", np.ones((index + 3, 3), np.float32))
    flags.append(f"--extra_features=audio={own_data / 'audio'}")
    (own_data / "frames.txt").write_text("a@40\nb@50\nc@60\nd@70\ne@96\nf@112\n")
    flags.append(f"--frame_counts={own_data / 'frames.txt'}")
    done = package(*flags)
    assert (done.returncode, done.stderr) == (0, "")
    assert "D = 9 (visual 4 + text 2 + audio 3)" in done.stdout
    bags = read_split(str(own_data / "data"), "shop", "test")
    assert [(bag.num_frames, bag.features.shape) for bag in bags] == [
        (60, (5, 4, 9)),
        (70, (5, 5, 9)),
    ]
    for source in ("features", "release"):
        assert "nothing to do" in package(*flags, f"--source={source}").stdout
    refuse("both name text", *flags, f"--extra_features=text={own_data / 'audio'}")


def refuse(message: str, *flags: str) -> None:
    """Checks for one line on stderr, exit code 2 and silence on stdout."""
    done = package(*flags)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert message in done.stderr
    assert done.stdout == ""


def test_misuse_ends_in_one_line(own_data):
    refuse("--source=features needs --features", *flags_for(own_data, features=""))
    refuse("--input has no effect with --source=features", *flags_for(own_data, input="x"))
    refuse("--list has no effect with", *flags_for(own_data, source="timed_text", input="x"))
    refuse("--list needs --features", *flags_for(own_data, source="", features=""))
    refuse("--input has no effect with --list", *flags_for(own_data, source="", input="x"))
    refuse("nothing to package: give --list", *flags_for(own_data, source="")[2:])
    refuse("<features|release|timed_text>", *flags_for(own_data, source="video"))
    refuse("ucf_crime, xd_violence) is needed", *flags_for(own_data, taxonomy=""))
    refuse("--fps=nan: give a number", *flags_for(own_data, fps="nan"))
    refuse("neither built in", *flags_for(own_data, taxonomy="none.json"))
    assert not (own_data / "data").exists()


def test_bad_data_end_in_one_line_and_leave_nothing(own_data):
    refuse("cannot be read (No such file", *flags_for(own_data), "--list=val=none.csv")
    refuse("truth.csv: cannot be read (No such file", *flags_for(own_data, annotations="truth.csv"))
    np.save(own_data / "d.npy", np.full((5, 4, 6), np.nan))
    refuse("d.npy: nan at crop 0, segment 0, channel 0", *flags_for(own_data))
    (own_data / "test.csv").write_text("c.npy,flood\n")
    refuse("test.csv:1: video c: unknown label 'flood'", *flags_for(own_data))
    assert not (own_data / "data").exists()


def test_real_timed_text_is_packaged(shared_data, tmp_path):
    done = package(
        f"--input={shared_data / 'ucf_crime_text'}",
        "--name=ucf_text",
        "--taxonomy=ucf_crime",
        f"--data_dir={tmp_path}",
        "--source_note=UCF-Crime, UCA text",
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert "--config=ucf_text --config.data.dataset=ucf_text " in done.stdout
    assert "selection_split" not in done.stdout  # there is a val
    assert ["train", "1412", "687", "725", "0", "1", "6/136.5/61031"] in lines
    assert ["val", "156", "77", "79", "138", "1", "13/140.5/8868"] in lines
    assert read_info(str(tmp_path), "ucf_text").source == "UCF-Crime, UCA text"


def test_text_without_val_is_trained_with_videos_held_out(tmp_path: pathlib.Path) -> None:
    np.savez(
        tmp_path / "train.npz",
        sentence_embedding=np.ones((2, 4), np.float32),
        sentence_video=np.array([0, 1]),
        sentence_start=np.zeros(2),
        sentence_end=np.ones(2),
        video_name=np.array(["a", "b"]),
        video_frames=np.array([80, 80]),
        video_category=np.array(["Abuse", "Normal"]),
    )
    flags = ["--name=words", f"--data_dir={tmp_path}", "--taxonomy=ucf_crime"]
    done = package(*flags, f"--input={tmp_path}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--config.data.selection_split=train --workdir=runs/words\n" in done.stdout


def test_a_release_is_packaged_with_its_second_modality(tmp_path: pathlib.Path) -> None:
    names = ["Abuse001_x264", "Normal_Videos_003_x264"]
    for folder, width in (("rgb", 4), ("text", 3)):
        (tmp_path / folder).mkdir()
        for name in names:
            values = np.random.default_rng(0).normal(size=(5, width)).astype(np.float32)
            np.save(tmp_path / folder / f"{name}.npy", values)
    rows = [
        f"/else/where/{name}.npy,{label}"
        for name, label in zip(names, ("Abuse", "Normal"), strict=True)
    ]
    (tmp_path / "test.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    flags = [
        "--source=release",
        "--name=two",
        f"--data_dir={tmp_path / 'data'}",
        "--taxonomy=ucf_crime",
        f"--list=test={tmp_path / 'test.csv'}",
        f"--features={tmp_path / 'rgb'}",
    ]
    result = package(*flags, f"--extra_features=text={tmp_path / 'text'}")
    assert result.returncode == 0, result.stderr
    assert "visual 4 + text 3" in result.stdout
    assert "next:" not in result.stdout and "WORKDIR" not in result.stdout
    data_dir = tmp_path / "data"
    words = f"by its --workdir and --dataset=two --data_dir={data_dir} --split=test\n"
    assert result.stdout.endswith(words)
    result = package(*flags, "--extra_features=text")
    assert result.returncode == 2
    assert "MODALITY=FOLDER" in result.stderr
