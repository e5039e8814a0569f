"""Timed text as files of the wild hold it."""

import pathlib

import pytest

from refinevad_jax.encoders.subtitles import Sentence, read_sentences
from refinevad_jax.errors import UserError

FILES = {
    "a.srt": "\ufeff1\r\n00:00:01,500 --> 00:00:03,000\r\nTwo men\r\n<i>argue</i>.\r\n\r\n"
    "2\r\n01:00:00,000 --> 01:00:02,250\r\n{\\an8}One falls.\r\n\r\n3\r\n"
    "00:00:05,000 --> 00:00:06,000\r\n\r\n",
    "a.vtt": "WEBVTT - demo\n\nNOTE a note\n\nSTYLE\n::cue { color: red }\n\n"
    "first\n00:01.500 --> 00:03.000 align:start\n<v Bob>Two men\nargue.\n\n"
    "1:00:00.000 --> 1:00:02.250\nOne falls.",
    "a.jsonl": '{"start": 3600, "end": 3602.25, "text": "One falls."}\n\n'
    '{"start": 1.5, "end": 3, "text": "Two men argue."}\n',
}
EXPECTED = [Sentence(1.5, 3.0, "Two men argue."), Sentence(3600.0, 3602.25, "One falls.")]


@pytest.mark.parametrize("name", FILES)
def test_reads(tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / name).write_text(FILES[name], encoding="utf-8", newline="")
    assert read_sentences(tmp_path / name) == EXPECTED


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.srt", "1\n00:00:03,000 -> x --> 4\nhi\n", r"a\.srt:2: .* is not a pair of times"),
        ("a.srt", "1\n00:00:03,000 --> 00:00:01,000\nhi\n", "from 3 s to 1 s"),
        ("a.vtt", "00:03.000 --> 00:04.000\nhi\n", "does not begin with WEBVTT"),
        ("a.jsonl", '{"start": 1, "end": 2}\n', r"a\.jsonl:1: expected .*KeyError"),
        ("a.jsonl", "[1, 2]\n", r"a\.jsonl:1: expected"),
        ("a.jsonl", '{"start": 1, "end": 2, "text": 5}\n', "'text' is 5"),
        ("a.jsonl", '{"start": NaN, "end": 2, "text": "x"}\n', "not a stretch of time"),
        ("a.txt", "hi", "timed text is read from"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    tmp_path: pathlib.Path, name: str, content: str, words: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=words):
        read_sentences(tmp_path / name)


def test_not_text(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.srt").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(UserError, match="is not UTF-8"):
        read_sentences(tmp_path / "a.srt")
    with pytest.raises(UserError, match="cannot be read"):
        read_sentences(tmp_path / "b.srt")


def test_empty_file(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.srt").touch()
    assert read_sentences(tmp_path / "a.srt") == []
