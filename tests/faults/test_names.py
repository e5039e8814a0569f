"""Hostile names: refused by one line, or inside the outputs' folder and harmless on pages."""

import contextlib
import html.parser
import json
import pathlib
import socket
from typing import Any

import numpy as np
import pytest

from data_prep.annotations.mat import MAX_BYTES
from data_prep.catalogue.lookup import load_taxonomy
from data_prep.dataset.videos import Span, Video
from data_prep.dataset.write import write_dataset
from data_prep.sources.package import Request, read_request
from data_prep.writers import FORMATS, write
from refinevad_jax.data.bags import BagsInfo, Modality, read_info, read_split
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.detection import run_detection
from refinevad_jax.detection.detector import Detector
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation import comparison
from refinevad_jax.evaluation.run import Settings, evaluate, evaluate_scores
from refinevad_jax.report import compare_page
from refinevad_jax.runtime.command_line import one_line
from tests.conftest import LONG, NUM_CHANNELS, TAXONOMY

MARK = "hostile()"
NAMES = [
    "../../escaped",
    "..",
    ".",
    "/tmp/escaped",
    "C:\\escaped",
    "..\\escaped",
    "two\nlines",
    "two\rlines",
    "nul\0name",
    "line\u2028separator",
    "half\ud800pair",
    "x" * 300,
    "🎬🏃" * 61,
    "🎬 Überfall",
    "gpj.\u202etxt",
    f"<script>{MARK}</script>",
    f'"><img src=x onerror={MARK}>',
    f"</script><script>{MARK}",
    f"' onmouseover='{MARK}",
    "{{ 7 * 7 }}{% raw %}",
    "$(touch escaped);`touch escaped`|touch escaped&",
    "--output=escaped",
    "%2e%2e%2fescaped",
    "file",
    "allow_pickle",
    "=HYPERLINK(1)",
    " blank ",
    "CON.",
]


class Page(html.parser.HTMLParser):
    """What a browser would run: the text of scripts, the attributes that are scripts, images."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.found: list[str] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kinds = [value for key, value in attrs if key == "type"]
        self._inside = tag == "script" and "json" not in str(kinds)
        self.found += [f"{tag} {key}" for key, value in attrs if key.startswith("on") and value]
        self.found += [f"{tag} {value}" for key, value in attrs if value == "x" and key == "src"]

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside and data.strip().startswith(MARK):
            self.found.append(data)


def check_pages(folder: pathlib.Path) -> int:
    """How many pages there are; none runs what a name says."""
    pages = sorted(folder.rglob("*.html"))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert Page(text).found == [], page
        assert f"<script>{MARK}" not in text and "<img src=x" not in text, page
    return len(pages)


def refused(call: Any, *arguments: Any, **words: Any) -> bool:
    """Whether a call is refused, which one line says."""
    try:
        call(*arguments, **words)
    except UserError as error:
        assert one_line(error).isprintable()
        return True
    return False


def escaped(tmp_path: pathlib.Path) -> list[pathlib.Path]:
    """Files beside the one folder that may be written to, here and in the usual places.

    The folders of other tests, which pytest makes, are test_*.
    """
    places = [pathlib.Path(), pathlib.Path("/tmp"), tmp_path, tmp_path.parent]
    found = [path for place in places for path in place.glob("*escaped*")]
    return [path for path in found if not path.name.startswith("test_")]


def videos_of(names: list[str], split: str, label: str) -> list[Video]:
    rng = np.random.default_rng(len(names))
    return [
        Video(
            video_id=name,
            split=split,
            label="Normal" if index % 2 else label,
            load_features=lambda: rng.normal(size=(1, 6, NUM_CHANNELS)),
            source="list:1",
            fps=25.0,
            spans=() if index % 2 else (Span(16, 48),),
        )
        for index, name in enumerate(names)
    ]


def info_of(taxonomy: Taxonomy = TAXONOMY, name: str = "hostile") -> BagsInfo:
    return BagsInfo(name, taxonomy, (Modality("visual", 16), Modality("text", 8)), encoder="random")


@pytest.fixture
def packaged(tmp_path: pathlib.Path) -> tuple[pathlib.Path, list[str]]:
    """A data set of the names that are taken as names of videos."""
    folder = tmp_path / "out" / "data"
    kept = [
        name
        for index, name in enumerate(NAMES)
        if not refused(
            write_dataset, str(folder), info_of(name=f"n{index}"), videos_of([name], "test", "a")
        )
    ]
    assert "🎬 Überfall" in kept and not {"..", "/tmp/escaped", "../../escaped"} & set(kept)
    write_dataset(str(folder), info_of(), videos_of(kept, "test", "a"))
    return folder, kept


def test_names_of_videos(
    packaged: tuple[pathlib.Path, list[str]], trained: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder, kept = packaged
    out = tmp_path / "out"
    bags = read_split(str(folder), "hostile", "test")
    assert [bag.video_id for bag in bags] == kept
    (out / "run").symlink_to(trained)
    options = {"split": "test", "dataset": "hostile", "data_dir": str(folder)}
    few = Settings(num_curves=8)
    words = {"step": "best", "num_segments": None, "allow_mismatch": False, "settings": few}
    evaluate(out / "run", **words, **options)
    np.savez(out / "theirs.npz", a=[0.0])
    videos = read_info(str(folder), "hostile"), bags
    place = out / "theirs"
    assert refused(evaluate_scores, out / "theirs.npz", *videos, split="test", folder=place)
    written = 0
    for name in FORMATS:
        for bag in bags:
            place = out / name / str(len(bag.video_id.encode())) / f"{hash(bag.video_id):x}"
            place.mkdir(parents=True)
            written += not refused(write, name, place, [bag], read_info(str(folder), "hostile"))
    assert written
    evaluated = comparison.read_compared(MARK, [out / "run/eval/hostile-test-best"])
    content = comparison.comparison([evaluated, evaluated])
    compare_page.write_page(out / f"{NAMES[15]}".replace("/", ""), content)
    assert check_pages(out / "run" / "eval") and escaped(tmp_path) == []


def test_names_of_files(trained: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Lists that name them, and detection, which names its outputs after its inputs."""
    inputs, out = tmp_path / "out" / "inputs", tmp_path / "out" / "found"
    inputs.mkdir(parents=True)
    listed, features = 0, np.ones((4, NUM_CHANNELS), np.float32)
    detector = Detector(trained, "best", allow_mismatch=True)
    threshold = detector.threshold(0.5, None)
    given = []
    for index, name in enumerate(NAMES):
        path = inputs / f"{name}.npy"
        with contextlib.suppress(OSError, ValueError):  # no file can be called so
            if path.parent == inputs:
                np.save(path, features)
                given.append(str(path))
        row = tmp_path / "out" / f"{index}.csv"
        row.write_bytes(f'"{name}.npy",a\n'.encode(errors="surrogatepass"))
        request = Request({"test": row}, {"visual": inputs}, "named", TAXONOMY)
        listed += not refused(
            lambda request=request: write_dataset(
                str(tmp_path / "out" / "data"), *read_request(request), overwrite=True
            )
        )
    assert listed > 5 and len(given) > 10
    for path in given:
        refused(
            run_detection.detect,
            detector,
            threshold,
            [path],
            out,
            run_detection.DetectionSettings(),
        )
    assert check_pages(out) > 10
    assert {path.parent for path in out.rglob("*.html")} == {out}
    assert escaped(tmp_path) == []


def test_names_of_categories(trained: pathlib.Path, tmp_path: pathlib.Path) -> None:
    out, kept = tmp_path / "out", []
    for name in NAMES:
        path = tmp_path / "taxonomy.json"
        path.write_text(json.dumps({"categories": [name], "display_names": [name]}))
        if not refused(load_taxonomy, str(path)):
            kept.append(name)
    assert f"<script>{MARK}</script>" in kept and "two\nlines" not in kept
    for index in range(0, len(kept) - 2, 3):
        taxonomy = Taxonomy("t", tuple(kept[index : index + 3]), tuple(kept[index : index + 3]))
        info = info_of(taxonomy, f"c{index}")
        names = [f"v{number}" for number in range(8)]
        write_dataset(str(out / "data"), info, videos_of(names, "test", kept[index]))
    (out / "run").symlink_to(trained)
    options = {"split": "test", "dataset": "c0", "data_dir": str(out / "data")}
    words = {"step": "best", "num_segments": None, "allow_mismatch": True}
    for index in range(0, len(kept) - 2, 3 if LONG else 9):
        options["dataset"] = f"c{index}"
        evaluate(out / "run", **words, **options, settings=Settings(num_curves=1))
    assert check_pages(out / "run" / "eval") and escaped(tmp_path) == []


@pytest.mark.parametrize("name", NAMES)
def test_names_of_data_sets(name: str, tmp_path: pathlib.Path) -> None:
    out = tmp_path / "out"
    if not refused(write_dataset, str(out), info_of(name=name), videos_of(["v"], "test", "a")):
        assert read_info(str(out), name).name == name
    for reader in (read_info, lambda *args: read_split(*args, "test")):
        refused(reader, str(out), name)
    assert (
        refused(write_dataset, str(out), info_of(), videos_of(["v"], name, "a"))
        or name.isidentifier()
    )
    assert escaped(tmp_path) == []


def test_a_mat_file_has_limits(tmp_path: pathlib.Path) -> None:
    import struct
    import zlib

    from data_prep.annotations import read_annotations

    packed = zlib.compress(bytes(MAX_BYTES))
    bomb = bytes(124) + b"\0\1IM" + (struct.pack("<II", 15, len(packed)) + packed) * 2
    for content, words in ((bomb, "unpacks to"), (bytes(MAX_BYTES + 1), "larger than")):
        (tmp_path / "a.mat").write_bytes(content)
        with pytest.raises(UserError, match=words):
            read_annotations(tmp_path / "a.mat")


def test_a_call_to_another_machine_fails_any_test() -> None:
    with pytest.raises(AssertionError, match="may use the network"):
        socket.create_connection(("192.0.2.1", 80))
    with socket.socket() as one, pytest.raises(AssertionError, match="may use the network"):
        one.connect(("192.0.2.1", 80))
