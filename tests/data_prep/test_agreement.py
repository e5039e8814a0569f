"""`check` finds a problem exactly where `package` refuses the data or warns of them.

A case is a small data set with some of its files changed. To extend the table, add a line: the
changed files, and what packaging does about them.
"""

import io
import json
import pathlib
import random
from typing import Any

import numpy as np
import pytest

from data_prep.catalogue.lookup import load_taxonomy
from data_prep.checks.run import run_checks
from data_prep.dataset.records import example
from data_prep.dataset.videos import check_names
from data_prep.sources.package import Request, read_request
from refinevad_jax.errors import UserError

REFUSED, WARNED, TAKEN = "refused", "warned", "taken"
TRAIN = ["a1,Fight", "a2,Fight", "a3,Fire", "a4,Fire", "n1,Normal", "n2,Normal"]
TEST = ["b1,Fight", "b2,Fire", "m1,Normal", "m2,Normal"]
TRUTH = ["b1 Fight 3 20", "b2 Fire 16 48", "m1 Normal -1 -1", "m2 Normal -1 -1"]
NAMES = [row.split(",")[0] for row in (*TRAIN, *TEST)]
TAXONOMY = {"name": "gate", "categories": ["Fight", "Fire"]}

# What check alone says, with the reason.
CHECK_ALONE = {
    "values all zero": "a black or silent video is data",
    "values constant in time": "a video in which nothing moves is data",
    "normalisation differs": "packaging measures it and stores the answer",
    "not the official truth": "own truth may be meant; the data set keeps its name and hash",
    "other videos than the release": "a part of a release may be meant",
}


def rows(*lines: str, header: str = "video,label") -> str:
    return "\n".join([header, *lines] if header else lines) + "\n"


def features(name: str, *, length: int = 4, width: int = 8) -> np.ndarray:
    rng = np.random.default_rng(list(name.encode()))
    return rng.standard_normal((length, width)).astype(np.float32)


def base() -> dict[str, Any]:
    files: dict[str, Any] = {f"f/{name}.npy": features(name) for name in NAMES}
    return files | {
        "train.csv": rows(*TRAIN),
        "test.csv": rows(*TEST),
        "truth.txt": rows(*TRUTH, header=""),
        "taxonomy.json": json.dumps(TAXONOMY),
    }


def write(folder: pathlib.Path, files: dict[str, Any]) -> None:
    """Files by path: text, bytes or arrays; None: not there."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, np.ndarray):
            np.save(path, content)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            path.write_text(content, encoding="utf-8")


def checked(folder: pathlib.Path) -> tuple[str, dict[str, tuple[str, ...]]]:
    """What check says in one word, and its problems."""
    frames = folder / "frames.txt"
    try:
        sections = run_checks(
            lists=[folder / "train.csv", folder / "test.csv"],
            splits=["train", "test"],
            taxonomy=load_taxonomy(str(folder / "taxonomy.json")),
            features=folder / "f",
            extra_features=[folder / "text"] if (folder / "text").exists() else [],
            annotations=[folder / "truth.txt"] if (folder / "truth.txt").exists() else [],
            frame_counts=frames if frames.exists() else None,
            values="all",
        )
    except UserError as error:
        return REFUSED, {"cannot be read": (str(error),)}
    found = {
        finding.kind: finding.videos or (finding.message,)
        for section in sections
        for finding in section.findings
        if finding.problem and finding.kind not in CHECK_ALONE
    }
    return (WARNED if found else TAKEN), found


def packaged(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What packaging does, and what it says."""
    frames = folder / "frames.txt"
    capsys.readouterr()
    try:
        info, videos = read_request(
            Request(
                {split: folder / f"{split}.csv" for split in ("train", "test")},
                {"visual": folder / "f"}
                | ({"text": folder / "text"} if (folder / "text").exists() else {}),
                "gate",
                load_taxonomy(str(folder / "taxonomy.json")),
                annotations=folder / "truth.txt" if (folder / "truth.txt").exists() else None,
                frame_counts=frames if frames.exists() else None,
            )
        )
        check_names(info, videos)
        lost = [example(video, info, i)[1] for i, video in enumerate(videos)]
    except UserError as error:
        return REFUSED, str(error)
    said = capsys.readouterr().err
    warned = any(lost) or "warning:" in said
    return (WARNED if warned else TAKEN), said + "\n".join(filter(None, lost))


def replaced(lines: list[str], old: str, new: str) -> str:
    assert any(old in line for line in lines)
    return rows(*(line.replace(old, new) for line in lines))


def odd(name: str, values: Any) -> dict[str, Any]:
    return {f"f/{name}.npy": values}


def second(**others: Any) -> dict[str, Any]:
    """Files of a second modality; others: of some videos."""
    return {f"text/{name}.npy": others.get(name, features(name)) for name in NAMES}


def packed(**others: str) -> bytes:
    """All features in one file; others: videos that have those of another one."""
    buffer = io.BytesIO()
    np.savez(buffer, **{name: features(others.get(name, name)) for name in NAMES})
    return buffer.getvalue()


X = features("x", length=4)
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "as it is": ({}, TAKEN),
    # Labels
    "unknown label": ({"train.csv": replaced(TRAIN, "a4,Fire", "a4,Flood")}, REFUSED),
    "misspelt label": ({"test.csv": replaced(TEST, "b2,Fire", "b2,Fier")}, REFUSED),
    "label in another case": ({"train.csv": replaced(TRAIN, "a4,Fire", "a4,FIRE")}, TAKEN),
    "normal in another case": ({"train.csv": replaced(TRAIN, "n2,Normal", "n2,NORMAL")}, TAKEN),
    "blanks around a label": ({"train.csv": replaced(TRAIN, "a4,Fire", "a4,  Fire ")}, TAKEN),
    "empty label": ({"train.csv": replaced(TRAIN, "a4,Fire", "a4,")}, REFUSED),
    "label of a blank": ({"train.csv": replaced(TRAIN, "a4,Fire", 'a4," "')}, REFUSED),
    "quoted label": ({"train.csv": replaced(TRAIN, "a4,Fire", '"a4","Fire"')}, TAKEN),
    "single quotes": ({"train.csv": replaced(TRAIN, "a4,Fire", "a4,'Fire'")}, REFUSED),
    "comma at the end of rows": ({"train.csv": rows(*(f"{row}," for row in TRAIN))}, TAKEN),
    "commas at the end of all": (
        {"train.csv": rows(*(f"{row},," for row in TRAIN), header="video,label,,")},
        TAKEN,
    ),
    "a third column in one row": ({"train.csv": replaced(TRAIN, "a4,Fire", "a4,Fire,7")}, REFUSED),
    "semicolons": (
        {"train.csv": rows(*(r.replace(",", ";") for r in TRAIN), header="video;label")},
        TAKEN,
    ),
    "semicolons below a comma": (
        {"train.csv": rows(*(r.replace(",", ";") for r in TRAIN))},
        REFUSED,
    ),
    "tabs": (
        {"train.csv": rows(*(r.replace(",", "\t") for r in TRAIN), header="video\tlabel")},
        TAKEN,
    ),
    "blanks": (
        {"train.csv": rows(*(r.replace(",", " ") for r in TRAIN), header="video label")},
        TAKEN,
    ),
    "filename,class": ({"train.csv": rows(*TRAIN, header="filename,class")}, TAKEN),
    "two labels of one": ({"train.csv": replaced(TRAIN, "a4,Fire", "a4,Fire+Fight")}, REFUSED),
    "several labels": (
        {
            "train.csv": replaced(TRAIN, "a4,Fire", "a4,Fire + Fight"),
            "taxonomy.json": json.dumps({**TAXONOMY, "separator": "+"}),
        },
        TAKEN,
    ),
    "normal and a class": (
        {
            "train.csv": replaced(TRAIN, "a4,Fire", "a4,Fire+Normal"),
            "taxonomy.json": json.dumps({**TAXONOMY, "separator": "+"}),
        },
        REFUSED,
    ),
    "no label column": ({"train.csv": rows(*NAMES[:6], header="")}, REFUSED),
    "another word for normal": (
        {
            "train.csv": rows(*TRAIN).replace("Normal", "NonFight"),
            "test.csv": rows(*TEST).replace("Normal", "NonFight"),
            "truth.txt": rows(*TRUTH[:2], header=""),
            "taxonomy.json": json.dumps({**TAXONOMY, "normal": ["NonFight"]}),
        },
        TAKEN,
    ),
    "a word for normal that the taxonomy does not know": (
        {"train.csv": rows(*TRAIN).replace("Normal", "NonFight")},
        REFUSED,
    ),
    "numeric classes": (
        {
            "train.csv": rows("a1,1", "a2,1", "a3,2", "a4,2", "n1,0", "n2,0"),
            "test.csv": rows("b1,1", "b2,2", "m1,0", "m2,0"),
            "truth.txt": None,
            "taxonomy.json": json.dumps({"categories": ["1", "2"], "normal": ["0"]}),
        },
        TAKEN,
    ),
    "numeric classes as floats": (
        {"train.csv": rows("a1,1.0", "a2,1.0", "a3,2.0", "a4,2.0", "n1,0.0", "n2,0.0")},
        REFUSED,
    ),
    "a hard blank": ({"train.csv": replaced(TRAIN, "a4,Fire", "a4,Fire\u00a0")}, TAKEN),
    "a byte-order mark": ({"train.csv": "\ufeff" + rows(*TRAIN)}, TAKEN),
    "line ends of Windows": ({"train.csv": rows(*TRAIN).replace("\n", "\r\n")}, TAKEN),
    "a plural": ({"train.csv": replaced(TRAIN, "a4,Fire", "a4,Fires")}, REFUSED),
    "numeric classes of another taxonomy": (
        {"train.csv": rows("a1,1", "a2,1", "a3,2", "a4,2", "n1,0", "n2,0")},
        REFUSED,
    ),
    "numbers that were read as frames": (
        {"train.csv": rows("a1 1", "a2 1", "a3 2", "a4 2", "n1 0", "n2 0", header="")},
        REFUSED,
    ),
    "0 and 1 for several categories": (
        {"train.csv": rows("a1 1", "a2 1", "a3 1", "a4 1", "n1 0", "n2 0", header="")},
        REFUSED,
    ),
    **{
        f"0 and 1, {name}": (
            {
                "train.csv": rows(
                    *(f"{v}.mp4{mark}{int(v[0] == 'a')}" for v in NAMES[:6]), header=header
                ),
                "test.csv": rows(
                    *(f"{v}.mp4{mark}{int(v[0] == 'b')}" for v in NAMES[6:]), header=header
                ),
                "truth.txt": None,
                "taxonomy.json": json.dumps({"categories": ["Fight"]}),
            },
            TAKEN,
        )
        for name, mark, header in (
            ("blanks", " ", ""),
            ("tabs", "\t", ""),
            ("commas", ",", ""),
            ("semicolons", ";", ""),
            ("a header", ",", "video,label"),
            ("a header with tabs", "\t", "path\tlabel"),
            ("a header with blanks", "  ", "file label"),
        )
    },
    **{
        f"one category, {positive} and {negative}": (
            {
                "train.csv": rows(
                    *(f"{v},{positive if v[0] == 'a' else negative}" for v in NAMES[:6])
                ),
                "test.csv": rows(
                    *(f"{v},{positive if v[0] == 'b' else negative}" for v in NAMES[6:])
                ),
                "truth.txt": None,
                "taxonomy.json": json.dumps({"categories": ["Fight"]}),
            },
            done,
        )
        for positive, negative, done in (
            ("True", "False", TAKEN),
            ("abnormal", "normal", TAKEN),
            ("Anomaly", "Normal_Videos_event", TAKEN),
            ("1", "no", TAKEN),
            ("Fight", "0", TAKEN),
            ("Fight", "NonFight", REFUSED),
            ("Fight", "A", REFUSED),
            ("2", "1", REFUSED),
        )
    },
    "one table with the splits of its rows": (
        {
            f"{split}.csv": rows(
                *(f"{row.replace(',', ',training,')},{number}" for number, row in enumerate(TRAIN)),
                *(f"{row.replace(',', ',Test,')},{number}" for number, row in enumerate(TEST)),
                header="video,split,label,number",
            )
            for split in ("train", "test")
        },
        TAKEN,
    ),
    "a table of another split": (
        {"test.csv": rows(*(row.replace(",", ",val,") for row in TEST), header="video,set,label")},
        REFUSED,
    ),
    # Splits
    "no normal training videos": ({"train.csv": rows(*TRAIN[:4])}, REFUSED),
    "no anomalous training videos": ({"train.csv": rows(*TRAIN[4:])}, REFUSED),
    "no normal test videos": (
        {"test.csv": rows(*TEST[:2]), "truth.txt": rows(*TRUTH[:2], header="")},
        TAKEN,
    ),
    "a class without training videos": ({"train.csv": rows(*TRAIN[:2], *TRAIN[4:])}, WARNED),
    "a class with one training video": ({"train.csv": rows(*TRAIN[:3], *TRAIN[4:])}, TAKEN),
    "a class without test videos": (
        {"test.csv": rows(TEST[0], *TEST[2:]), "truth.txt": rows(TRUTH[0], header="")},
        TAKEN,
    ),
    "a video in both lists": ({"test.csv": rows(*TEST, TRAIN[0])}, REFUSED),
    "a video in both lists, written in two ways": (
        {
            "train.csv": rows(*TRAIN, "Abuse028_x264,Fight"),
            "test.csv": rows(*TEST, "Abuse028,Fight"),
            "f/Abuse028_x264.npy": X,
        },
        REFUSED,
    ),
    "a row twice": ({"train.csv": rows(*TRAIN, TRAIN[0])}, REFUSED),
    "a video with two labels": ({"train.csv": rows(*TRAIN, "a1,Fire")}, REFUSED),
    "a name that no file may have": (
        {"train.csv": rows(*TRAIN, "x\ay,Fight"), "f/x\ay.npy": X},
        REFUSED,
    ),
    "own classes, named like a release's": (
        {
            "train.csv": rows(*TRAIN, "Fighting001,Fight", "Shooting002,Fire"),
            "f/Fighting001.npy": features("y"),
            "f/Shooting002.npy": features("x", length=5),
        },
        TAKEN,
    ),
    "one file for both splits": (
        {"train.csv": rows(*TRAIN, *TEST), "test.csv": rows(*TRAIN, *TEST)},
        REFUSED,
    ),
    "a column of splits": (
        {
            f"{split}.csv": rows(
                *(f"{row},train" for row in TRAIN),
                *(f"{row},testing" for row in TEST),
                header="video,label,subset",
            )
            for split in ("train", "test")
        },
        TAKEN,
    ),
    "a truth of any anomaly": (
        {"truth.txt": rows(*(row.replace("Fire", "Abnormal") for row in TRUTH), header="")},
        TAKEN,
    ),
    "a label that the name contradicts": (
        {
            "train.csv": rows(*TRAIN, "Normal_Videos001_x264,Fight"),
            "f/Normal_Videos001_x264.npy": X,
        },
        WARNED,
    ),
    "the same features in both lists": (odd("b1", features("a1")), WARNED),
    "the same features twice": (odd("a2", features("a1")), WARNED),
    # Files
    "a file is missing": (odd("a1", None), REFUSED),
    "a file is cut short": (odd("a1", b"\x93NUMPY\x01\x00"), REFUSED),
    "another width": (odd("a1", features("a1", width=9)), REFUSED),
    "one axis": (odd("a1", X[:, 0]), REFUSED),
    "no rows": (odd("a1", X[:0]), REFUSED),
    "text": (odd("a1", np.array([["a"]])), REFUSED),
    **{
        f"{what} in one file": (
            {f"f/{name}.npy": None for name in NAMES} | {"f/all.npz": content},
            done,
        )
        for what, content, done in (
            ("all videos", packed(), TAKEN),
            ("the same features twice", packed(a2="a1"), WARNED),
            ("the same features of both lists", packed(b1="a1"), WARNED),
        )
    },
    "axes (1, D, T)": (
        {f"f/{name}.npy": features(name, length=1024, width=32)[None] for name in NAMES},
        WARNED,
    ),
    "crops last": (
        {f"f/{name}.npy": np.stack([features(name)] * 10, 2) for name in NAMES},
        REFUSED,
    ),
    "crops within files of crops": (
        {f"f/{name}.npy": None for name in NAMES}
        | {
            f"f/{name}__{crop}.npy": np.stack([features(name) + crop] * 5, 1)
            for name in NAMES
            for crop in range(5)
        },
        REFUSED,
    ),
    "0 and 1 as bool": (odd("a1", X > 0), REFUSED),
    "another number of crops": (
        {"f/a1.npy": np.stack([X + i for i in range(5)], axis=1)},
        WARNED,
    ),
    "another number of crops in the test": (
        {"f/b1.npy": np.stack([X + i for i in range(5)], axis=1)},
        TAKEN,
    ),
    "frame counts that fit": ({"frames.txt": rows(*(f"{n}@70" for n in NAMES), header="")}, TAKEN),
    "frame counts of other videos": ({"frames.txt": "a1@640\nb1@64\n"}, WARNED),
    # Values
    "not a number": (odd("a1", np.where(np.eye(4, 8) > 0, np.nan, X)), REFUSED),
    "a channel of NaN": (odd("b1", np.where(np.arange(8) == 2, np.nan, X)), REFUSED),
    "infinite": (odd("a1", np.where(np.eye(4, 8) > 0, np.inf, X)), REFUSED),
    "float64 of 1e300": (odd("a1", X.astype(np.float64) * 1e300), REFUSED),
    "int32 of a million": (odd("a1", (X * 1e6).astype(np.int32)), REFUSED),
    "int8": (odd("a1", (X * 40).astype(np.int8)), TAKEN),
    "of 1e-9": (odd("a1", X * 1e-9), REFUSED),
    "of 1e-7": (odd("a1", X * 1e-7), WARNED),
    "of 1e-6": (odd("b1", X * 1e-6), WARNED),
    "1000 and a little": (odd("a1", 1000 + X * 0.01), REFUSED),
    "1000 and one": (odd("a1", 1000 + X), WARNED),
    "a row of 1e-9": (odd("a1", X * np.array([[1e-9], [1], [1], [1]])), WARNED),
    "float16 below its smallest step": (odd("a1", (X * 1e-7).astype(np.float16)), TAKEN),
    "uint16 up to 65535": (odd("a1", np.full((4, 8), 65535, np.uint16)), REFUSED),
    "65504": (odd("a1", np.where(np.eye(4, 8) > 0, 65504, X)), TAKEN),
    "all files around 100": ({f"f/{n}.npy": 100 + features(n) for n in NAMES}, WARNED),
    "one of ten crops of 1e-9": (
        {
            f"f/{n}.npy": np.stack(
                [features(n) * (1e-9 if (n, crop) == ("a1", 9) else 1) for crop in range(10)], 1
            )
            for n in NAMES
        },
        REFUSED,
    ),
    "text of 1e-9": (
        {
            "f/a1.npy": None,
            "f/a1.txt": "\n".join(" ".join(f"{v * 1e-9:.6e}" for v in row) for row in X),
        },
        REFUSED,
    ),
    "zero": (odd("a1", np.zeros((4, 8), np.float32)), TAKEN),
    "constant": (odd("a1", np.full((4, 8), 1000.3)), TAKEN),
    # Truth
    "a span of an unknown class": (
        {"truth.txt": rows("b1 Looting 3 20", *TRUTH[1:], header="")},
        REFUSED,
    ),
    "a span of a class that is not the video's": (
        {"truth.txt": rows("b1 Fire 3 20", *TRUTH[1:], header="")},
        WARNED,
    ),
    "a span of its class in another case": (
        {"truth.txt": rows("b1 fight 3 20", *TRUTH[1:], header="")},
        TAKEN,
    ),
    "an anomalous video without span": (
        {"truth.txt": rows("b1 Fight -1 -1", *TRUTH[1:], header="")},
        WARNED,
    ),
    "a normal video with a span": (
        {"truth.txt": rows(*TRUTH[:2], "m1 Fight 3 9", TRUTH[3], header="")},
        WARNED,
    ),
    "truth of a video in no list": (
        {"truth.txt": rows(*TRUTH, "z9 Fight 3 9", header="")},
        WARNED,
    ),
    "a test video without truth": ({"truth.txt": rows(*TRUTH[1:], header="")}, WARNED),
    "truth of a training video too": (
        {"truth.txt": rows(*TRUTH, "a1 Fight 3 9", header="")},
        TAKEN,
    ),
    "truth of other videos": ({"truth.txt": "z1 Fight 3 9\n"}, REFUSED),
    "truth of one of many": (
        {
            "truth.txt": rows(TRUTH[0], header=""),
            "test.csv": rows(*TEST, "c1,Fight", "c2,Fight"),
            "f/c1.npy": X,
            "f/c2.npy": features("c2"),
        },
        WARNED,
    ),
    "no truth": ({"truth.txt": None}, TAKEN),
    "a second modality": (second(), TAKEN),
    "a second modality, one segment longer": (second(a1=features("a1", length=5)), TAKEN),
    "a second modality, two segments longer": (second(a1=features("a1", length=6)), REFUSED),
    "a second modality without a video": (second(a1=None), REFUSED),
    "a second modality that is not finite": (second(a1=np.full((4, 8), np.nan)), REFUSED),
}


@pytest.mark.parametrize("name", CASES)
def test_check_and_package_agree(name, tmp_path, capsys):
    changes, expected = CASES[name]
    write(tmp_path, base() | changes)
    found, problems = checked(tmp_path)
    done, said = packaged(tmp_path, capsys)
    assert done == expected, said
    assert (found != TAKEN) == (done != TAKEN), (problems, said)


def test_check_and_package_agree_on_random_mixtures(tmp_path, capsys):
    """Of two or three cases at once: what one of them hides, another still shows."""
    draw = random.Random(20)
    cases = [changes for changes, _ in CASES.values()]
    for number in range(40):
        folder = tmp_path / str(number)
        files = base()
        chosen = draw.sample(range(len(cases)), draw.choice((2, 3)))
        for i in chosen:
            files |= cases[i]
        write(folder, files)
        found, problems = checked(folder)
        done, said = packaged(folder, capsys)
        names = [list(CASES)[i] for i in chosen]
        assert (found != TAKEN) == (done != TAKEN), (names, problems, said)


def test_the_words_are_the_same(tmp_path, capsys):
    """What packaging says of a fault is what check says of it."""
    for i, name in enumerate(("misspelt label", "a row twice", "no label column", "of 1e-9")):
        folder = tmp_path / str(i)
        write(folder, base() | CASES[name][0])
        _, problems = checked(folder)
        _, said = packaged(folder, capsys)
        assert any(place in said for places in problems.values() for place in places), name
