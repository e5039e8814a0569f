"""Lists that people write themselves are read right, or refused with their cure."""

import pathlib

import pytest

from data_prep.annotations import read_annotations
from data_prep.sources.lists import read_list
from refinevad_jax.errors import UserError

FIGHT = [("a.mp4", "Fighting"), ("b.mp4", "Normal")]
FLAGS = [("a.mp4", "Abnormal"), ("b.mp4", "Normal")]


@pytest.mark.parametrize(
    ("text", "rows", "note"),
    [
        ("path,label,fps,split\na.mp4,Fighting,25,x\nb.mp4,Normal,25,x\n", FIGHT, "fps, split"),
        ("label,path\nFighting,a.mp4\nNormal,b.mp4\n", FIGHT, ""),
        ("id;video_name;class\n0;a.mp4;Fighting\n1;b.mp4;Normal\n", FIGHT, "not read: id"),
        ("video\tlabel\r\na.mp4\tFighting\r\nb.mp4\tNormal\r\n", FIGHT, ""),
        ("filename|abnormal\na.mp4|1\nb.mp4|0\n", FLAGS, ""),
        ('"video_name","label","n"\n"a.mp4","Fighting","3"\n"b.mp4","Normal","3"', FIGHT, "n"),
        ("Fighting a.mp4\nNormal b.mp4\n", FIGHT, "as a label and a path"),
        ("1 a.mp4\n0 b.mp4\n", FLAGS, "as a label and a path"),
        ("Fighting, a.mp4\nNormal, b.mp4\n", FIGHT, "as a label and a path"),
        ("Fighting\ta.mp4\nNormal\tb.mp4\n", FIGHT, "as a label and a path"),
        ("a.mp4|Fighting\nb.mp4|Normal\n", FIGHT, ""),
        ("a.mp4: Fighting\nb.mp4: Normal\n", FIGHT, ""),
        ("a.h5,Fighting\nb.safetensors,Normal\n", [("a.h5", "Fighting")], ""),
        ('[{"video":"a.mp4","label":"Fighting"},{"video":"b.mp4","label":"Normal"}]', FIGHT, ""),
        ('{"video":"a.mp4","label":1}\n{"video":"b.mp4","label":0}\n', FLAGS, ""),
        ('{"a.mp4": "Fighting", "b.mp4": "Normal"}', FIGHT, ""),
        ('{"a.mp4": 1, "b.mp4": 0}', FLAGS, ""),
        ('{"a.mp4": {"label": "Fighting"}, "b.mp4": {"label": "Normal"}}', FIGHT, ""),
        ('[{"path":"a.mp4","labels":["Fighting","Abuse"]}]', [("a.mp4", "Fighting,Abuse")], ""),
        ('["a.mp4", "b.mp4"]', [("a.mp4", None), ("b.mp4", None)], ""),
        ('{"test": ["b.mp4"], "train": {"a.mp4": "Fighting", "b.mp4": "Normal"}}', FIGHT, ""),
        ('{"Fighting": ["a.mp4"], "Normal": ["b.mp4"]}', FIGHT, ""),
        ('[["a.mp4", "Fighting"], ["b.mp4", "Normal"]]', FIGHT, ""),
        ("a.mp4 120 1\nb.mp4 90 0\n", FLAGS, "frames of the list are not read"),
        (
            "path,label,subset\nz.mp4,Normal,testing\na.mp4,Fighting,training\n",
            FIGHT[:1],
            "1 of 2 rows",
        ),
        (
            '{"z": {"label": "x", "split": "Test"}, '
            '"a.mp4": {"label": "Fighting", "split": "train"}}',
            FIGHT[:1],
            "1 of 2 rows",
        ),
        ("a.mp4|120|[]\nb.mp4|300|[20, 40, -1, -1]\n", [("a", None), ("b", None)], ""),
        ("video,is_anomaly\na.mp4,1\nb.mp4,0\n", FLAGS, ""),
        ("video;Abnormal\na.mp4;True\nb.mp4;False\n", FLAGS, ""),
        ("video,label,class\na.mp4,1,Fighting\nb.mp4,0,Normal\n", FIGHT, "not read: label"),
        (",video,class\n0,a.mp4,Fighting\n1,b.mp4,Normal\n", FIGHT, ""),
        (
            "video,set,class\nc,test,X\na.mp4,Training,Fighting\nb.mp4,train,Normal\n",
            FIGHT,
            "2 of 3",
        ),
        (
            '{"c":{"subset":"test","label":"X"},"a.mp4":{"subset":"train","label":"Y"}}',
            [("a.mp4", "Y")],
            "1 of 2 rows are of the split train",
        ),
        ("a.mp4 164 1\nb.mp4 90 0\n", FLAGS, "frames of the list are not read"),
        ('{"Fighting": ["a.mp4"], "Normal": ["b.mp4"]}', FIGHT, ""),
        ('{"a.mp4": ["Fighting"], "b.mp4": ["Normal"]}', FIGHT, ""),
        ('{"a.mp4": "Fighting", "b.mp4": null}', [("a.mp4", "Fighting"), ("b.mp4", None)], ""),
        # Of these, the first word is part of the name.
        ("Camera 1.mp4\nCamera 2.mp4\n", [("Camera 1.mp4", None), ("Camera 2.mp4", None)], ""),
        ("Well, well.mp4\nb.mp4\n", [("Well, well.mp4", None), ("b.mp4", None)], ""),
    ],
)
def test_lists(tmp_path: pathlib.Path, text: str, rows: list, note: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(text, newline="")
    read = read_list(path, "train")
    assert [(entry.path, entry.label) for entry in read.entries][: len(rows)] == rows
    assert bool(read.notes) == bool(note) and note in " ".join(read.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.mp4 1\nb.mp4 2\nc.mp4 3\n", "txt:1: the numbers 1 to 3 may be classes"),
        ("a.npy 0\nb.npy 5\n", "the numbers 0 to 5 may be classes"),
        ("id,path,label\n1,a.mp4,3\n", "txt:2: 3 may be a class"),
        ("a.mp4|3\nb.mp4|0\n", "txt:1: 3 may be a class"),
        ("a.mp4 164 7\nb.mp4 90 0\n", "txt:1: 7 may be a class"),
        ('{"a": 1, "b": 2}', "entry 2: 2 may be a class"),
        ("video,split,label\na.mp4,train,X\n", "its rows are of train, none of val"),
        ("id,path,label\n1,a.mp4\n", "txt:2: '1,a.mp4' is not 'id,path,label'"),
        ('{"train": ["a.mp4"], "test": ["b.mp4"]}', "the lists train, test; no 'val' among them"),
        ('[{"video": 3, "label": "x"}]', "entry 1: a name and a label are expected"),
        ('[{"video": "a.mp4", "label": 4}]', "entry 1: 4 may be a class"),
        ("a.mp4|120|[]\nb.mp4|300|[20]\n", r"line 2: 'b\.mp4\|300\|\[20\]' is not 'name\|frames"),
        ("<!DOCTYPE html><html>", "it is a web page, not a text file"),
        ("version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, .*git lfs pull"),
    ],
)
def test_lists_that_are_refused(tmp_path: pathlib.Path, text: str, message: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_list(path, "val")
    assert str(path) in str(caught.value)


def test_pipes_are_a_truth(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "truth.txt"
    path.write_text("x/a.mp4|120|[]\nb.mp4|300|[20, 40, 50, 60]\nc.mp4|90|[5, 9, -1, -1]\n")
    found = read_annotations(path)
    spans = {name: [(s.start, s.end) for s in found.spans[name]] for name in found.spans}
    assert spans == {"a": [], "b": [(20, 40), (50, 60)], "c": [(5, 9)]}
    assert dict(found.num_frames) == {"a": 120, "b": 300, "c": 90}
