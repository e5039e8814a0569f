"""Captions by a tiny random network that is loaded and asked as InternVideo2.5 is.

The real weights, 16 GB, have not been run here.
"""

import json
import pathlib
import shutil

import numpy as np
import pytest

from data_prep.extraction.captions import check_frames
from refinevad_jax.encoders.captions import squared
from refinevad_jax.encoders.subtitles import read_sentences
from refinevad_jax.encoders.video_writer import write_video
from refinevad_jax.errors import UserError
from tests.conftest import call

pytest.importorskip("av", reason="pip install av")
TINY = pathlib.Path(__file__).parents[1] / "fixtures" / "tiny_chat" / "modeling_tiny_chat.py"


@pytest.fixture
def clips(tmp_path: pathlib.Path) -> pathlib.Path:
    rng = np.random.default_rng(0)
    for name, count in (("a", 70), ("sub/b", 33)):
        colours = rng.integers(0, 256, (count // 32 + 1, 4, 4, 3)).repeat(8, 1).repeat(8, 2)
        frames = [colours[i // 32].astype(np.uint8) for i in range(count)]
        write_video(tmp_path / "clips" / f"{name}.mp4", frames, fps=16)
    return tmp_path / "clips"


@pytest.fixture
def model(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A folder as a repository on the Hub is: weights, tokenizer, and code of its own."""
    torch = pytest.importorskip("torch", reason="pip install torch")
    transformers = pytest.importorskip("transformers", reason="pip install transformers")
    import tokenizers

    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    words = ["<pad>", "</s>", "<IMG_CONTEXT>", *(f"word{i}" for i in range(61))]
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    folder = tmp_path / "model"
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="</s>", unk_token="<pad>"
    ).save_pretrained(folder)
    from tests.data_prep.fixtures.tiny_chat.modeling_tiny_chat import TinyChat, TinyChatConfig

    torch.manual_seed(0)
    TinyChat(TinyChatConfig()).save_pretrained(folder)
    shutil.copy(TINY, folder)
    config = json.loads((folder / "config.json").read_text())
    names = {"AutoConfig": "TinyChatConfig", "AutoModel": "TinyChat"}
    config["auto_map"] = {auto: f"modeling_tiny_chat.{name}" for auto, name in names.items()}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_from_videos_to_timed_text(clips: pathlib.Path, model: pathlib.Path) -> None:
    (clips / "junk.mp4").write_text("no video")
    output = clips.parent / "out"
    flags = [f"--videos={clips}", f"--output={output}", f"--model={model}", "--segments=2"]
    flags += ["--trust_remote_code", "--max_new_tokens=6"]
    done = call("data_prep.caption", *flags)
    assert done.returncode == 2, done.stderr
    assert (
        done.stdout.strip() == f"{output}: 2 videos written, 0 already there, 1 failed, 0 with "
        "warnings"
    )
    assert "junk.mp4: no readable video" in done.stderr and "Traceback" not in done.stderr
    sentences = read_sentences(output / "a.jsonl")
    assert [(one.start, one.end) for one in sentences] == [(0, 2), (2, 4)]
    assert all(one.text.startswith("word") for one in sentences)
    assert sentences[0].text != sentences[1].text  # the frames differ, and the words with them
    assert [(one.start, one.end) for one in read_sentences(output / "sub" / "b.jsonl")] == [(0, 2)]
    record = json.loads((output / "a.json").read_text())
    assert record["encoder"] == str(model) and record["num_segments"] == 4
    again = call("data_prep.caption", *flags)
    assert "0 videos written, 2 already there" in again.stdout


def test_what_is_asked_of_the_user(clips: pathlib.Path, tmp_path: pathlib.Path) -> None:
    flags = [f"--videos={clips}", f"--output={tmp_path / 'out'}"]
    done = call("data_prep.caption", *flags, "--frames=6")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--frames=6: must be a multiple of 4, and at most 16" in done.stderr
    done = call("data_prep.caption", *flags)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "pip install torch" in done.stderr or "give --trust_remote_code" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_model(clips: pathlib.Path, tmp_path: pathlib.Path) -> None:
    pytest.importorskip("transformers", reason="pip install transformers")
    from refinevad_jax.encoders.captions import load_captioner

    with pytest.raises(UserError, match="cannot be loaded"):
        load_captioner(str(tmp_path), revision="", trust_code=True, max_new_tokens=4)


def test_frames_become_squares_normalised_as_imagenet() -> None:
    found = squared(np.full((30, 50, 3), 255, np.uint8), 28)
    assert found.shape == (3, 28, 28) and found.dtype == np.float32
    np.testing.assert_allclose(found[:, 5, 5], [2.2489, 2.4286, 2.64], atol=1e-3)


@pytest.mark.parametrize(("segments", "frames"), [(1, 20), (2, 34), (1, 2)])
def test_frames_that_cannot_be_taken(segments: int, frames: int) -> None:
    with pytest.raises(UserError, match=f"--frames={frames}"):
        check_frames(segments, frames)
