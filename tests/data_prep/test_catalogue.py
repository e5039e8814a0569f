"""The catalogue: names, lists, features, length rules and taxonomies of the field's data sets."""

import collections
import csv
import json

import pytest

from data_prep.annotations.truths import official, span_hash
from data_prep.catalogue import lookup
from data_prep.catalogue.listed_names import read_names
from data_prep.catalogue.lookup import fit_rule, label_from_name, load_taxonomy, name_features
from data_prep.catalogue.video_names import match_key, strip_video_path
from data_prep.dataset.videos import Span
from data_prep.sources.lists import read_list
from refinevad_jax.data.taxonomy import NORMAL_HAS_TRUTH, Taxonomy
from refinevad_jax.encoders.video_files import SUFFIXES
from refinevad_jax.errors import UserError
from tests.conftest import call

UCF_CRIME, XD_VIOLENCE = load_taxonomy("ucf_crime"), load_taxonomy("xd_violence")
TAXONOMIES = [data_set.taxonomy for data_set in lookup.DATA_SETS]


def indices(taxonomy: Taxonomy, label: str) -> list[int]:
    return taxonomy.multi_hot(label).nonzero()[0].tolist()


# --- videos, features, lengths ------------------------------------------------------------------


def test_match_key_joins_names_of_releases():
    assert {match_key(video) for video in official("UCF-Crime").video_ids} >= {
        "Abuse028",
        "Normal003",
    }


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".MP4", ".npy", ".npz", ".txt", ".mat"])
def test_every_suffix_is_left_out_of_a_name(suffix):
    assert read_names([f"clips/a.b{suffix}"])[0].video_id == "a.b"
    assert strip_video_path(f"clips/a.b{suffix}") == "clips/a.b"


@pytest.mark.parametrize(
    ("video", "data_set", "recording"),
    [
        ("Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6", "XD-Violence", "Bad.Boys.1995"),
        ("v=KERh4R2BbS0__#1_label_A", "XD-Violence", "v=KERh4R2BbS0"),
        ("A__#B.2000__#00-00-00_00-00-10_label_A", "XD-Violence", "A__#B.2000"),
        ("01_0014", "ShanghaiTech", "01"),
        ("13_003", "ShanghaiTech", "13"),
        ("04_0012_1", "ShanghaiTech", "04"),
        ("Abuse028_x264", "UCF-Crime", ""),
        ("01_0014", "", ""),  # of a list of other names
        ("gate__#1", "UCF-Crime", ""),
    ],
)
def test_names_tell_the_film_or_camera(video, data_set, recording):
    assert lookup.recording_from_name(video, data_set) == recording


def test_rule_of_features_is_found():
    n = {"a": 33, "b": 48, "c": 64}
    assert fit_rule(n, {"a": 3, "b": 3, "c": 4}).rule == "ceil(n/16)"
    fit = fit_rule(n, {"a": 2, "b": 3, "c": 7})
    assert (fit.rule, fit.deviants) == ("floor(n/16)", {"c": (7, 4)})
    assert fit_rule(n, {"a": 9, "b": 9, "c": 9}).rule == "unknown"


def test_releases_are_told_apart():
    common = {"stacked": False, "ending": "", "suffix": ".npy", "data_set": "UCF-Crime"}
    assert "VadCLIP" in name_features(width=512, crops=10, **common)
    every_eighth = name_features(width=512, crops=1, frames_per_segment=8.0, **common)
    assert every_eighth == "CLIP ViT-B/16 of every 8th frame (LaGoVAD)"
    assert name_features(width=7, crops=10, **common) == "unknown"


# --- taxonomies ---------------------------------------------------------------------------------


def test_released_lists_are_read_whole(shared_data):
    lists = shared_data / "published" / "nwpu-zxr+VadCLIP" / "list"
    with (lists / "xd_CLIP_rgb.csv").open(newline="") as file:
        labels = {row["path"][: -len("__0.npy")]: row["label"] for row in csv.DictReader(file)}
    assert len(labels) == 3954
    assert len(set(labels.values())) == 46
    assert sum(XD_VIOLENCE.multi_hot(label).any() for label in labels.values()) == 1905
    assert sum(XD_VIOLENCE.multi_hot(label).sum() > 1 for label in labels.values()) == 243
    with (lists / "ucf_CLIP_rgbtest.csv").open(newline="") as file:
        counts = collections.Counter(
            tuple(indices(UCF_CRIME, row["label"])) for row in csv.DictReader(file)
        )
    expected = [2, 5, 9, 3, 13, 21, 5, 23, 5, 23, 21, 5, 5]
    assert counts == {(): 150, **{(c,): count for c, count in enumerate(expected)}}


@pytest.mark.parametrize("taxonomy", TAXONOMIES, ids=lambda taxonomy: taxonomy.name)
def test_the_json_form_is_read_back(taxonomy, tmp_path):
    path = tmp_path / "taxonomy.json"
    path.write_text(json.dumps(taxonomy.to_dict()))
    assert load_taxonomy(str(path)) == taxonomy
    assert load_taxonomy(taxonomy.name) is taxonomy


def test_a_file_needs_only_its_categories(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text('{"categories": ["fall", "fire"]}')
    taxonomy = load_taxonomy(str(path))
    assert taxonomy.display_names == ("fall", "fire")
    assert indices(taxonomy, "Normal") == []
    assert indices(taxonomy, "fire") == [1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a JSON file"),
        ("[1]", "JSON object"),
        ("[" * 100_000, "not a JSON file"),
        ("{}", "no key 'categories'"),
        ('{"categories": []}', "no categories"),
        ('{"categories": "abc"}', "list of non-empty strings"),
        ('{"categories": ["a", 1]}', "list of non-empty strings"),
        ('{"categories": ["a", "a"]}', "appears twice"),
        ('{"categories": ["Normal"]}', "appears twice"),
        ('{"categories": ["a"], "display_names": ["x", "y"]}', "2 display names for 1"),
        ('{"categories": ["a"], "colour": "red"}', "unknown key 'colour'"),
        ('{"categories": ["a"], "separator": 3}', "'separator' must be a string"),
    ],
)
def test_bad_files_are_refused(text, message, tmp_path):
    path = tmp_path / "taxonomy.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        load_taxonomy(str(path))


def test_a_name_that_is_neither_built_in_nor_a_file_is_refused(tmp_path):
    known = "msad, ped2, shanghaitech, tad, ucf_crime, xd_violence"
    with pytest.raises(UserError, match=rf"neither built in \({known}\)"):
        load_taxonomy(str(tmp_path / "none.json"))
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not a JSON file"):
        load_taxonomy(str(binary))


@pytest.mark.parametrize(
    ("name", "file", "counts"),
    [
        (
            "msad",
            "Tom-roujiang+MSAD/RTFM/list/msad-i3d.list",
            [360, 7, 7, 7, 13, 12, 21, 15, 8, 19, 6, 5],
        ),
        ("msad", "EavnJeong+IEF-VAD/list/msad_annotations.txt", None),
        ("tad", "ktr-hubrt+UMIL/labels/TAD_test.txt", [40, 24, 3, 5, 2, 10, 12, 4]),
        ("shanghaitech", "yujiangpu20+PEL4VAD/list/sh/train.list", [175, 63]),
        ("shanghaitech", "fjchange+MIST_VAD/data/SH_Test_NEW.txt", [155, 44]),
        ("ped2", "Tom-roujiang+MSAD/RTFM/list/ped2-i3d-test.list", [12, 6]),
    ],
)
def test_built_in_taxonomies_read_the_released_lists(shared_data, name, file, counts):
    taxonomy = load_taxonomy(name)
    labels = read_list(shared_data / "published" / file).labels.values()
    found = collections.Counter(tuple(indices(taxonomy, label)) for label in labels)
    keys = [(), *((c,) for c in range(taxonomy.num_categories))]
    assert set(found) == set(keys)
    assert counts is None or [found[key] for key in keys] == counts


def test_names_state_labels_of_their_taxonomy():
    for video, name in (
        ("Abuse028_x264", "ucf_crime"),
        ("a__#1_label_B2-B6-G", "xd_violence"),
        ("Object_falling_12", "msad"),
        ("05_else_001", "tad"),
        ("01_0014", "shanghaitech"),
        ("Test003", "ped2"),
    ):
        (data_set,) = (d for d in lookup.DATA_SETS if d.name == lookup.data_set_of(video))
        assert data_set.taxonomy.name == name
        assert indices(data_set.taxonomy, label_from_name(video))


def test_the_package_knows_the_names_of_the_catalogue():
    assert set(NORMAL_HAS_TRUTH) <= {taxonomy.name for taxonomy in TAXONOMIES}


# --- adding to it -------------------------------------------------------------------------------

# What an edit of msad.py would say, before anything else has read it.
EDIT = """
import dataclasses, pathlib, sys
from data_prep.catalogue import msad
from data_prep.catalogue.data_set import KnownList

msad.DATA_SET = dataclasses.replace(
    msad.DATA_SET,
    lists={**msad.DATA_SET.lists, MEMBERS: KnownList("second test", 2)},
    orders={**msad.DATA_SET.orders, ORDER: "made up"},
    truths={**msad.DATA_SET.truths, SPANS: "second split (MSAD)"},
    taxonomy=dataclasses.replace(msad.DATA_SET.taxonomy, name="msad_second"),
)

from data_prep.catalogue.lookup import load_taxonomy
from data_prep.checks.findings import render
from data_prep.checks.run import run_checks

folder = pathlib.Path(sys.argv[1])
print(render(run_checks(lists=[folder / "second.list"], annotations=[folder / "truth.txt"])))
print(load_taxonomy("msad_second").categories[0])
"""


def test_a_second_split_is_an_edit_of_one_file(tmp_path):
    """In a process of its own: list check, truth check and taxonomies find what was added."""
    (tmp_path / "second.list").write_text("Fire_3_i3d.npy\nMSAD_normal_7_i3d.npy\n")
    (tmp_path / "truth.txt").write_text("Fire_3.mp4 Fire 5 90\nMSAD_normal_7.mp4 Normal -1 -1\n")
    videos = ["Fire_3", "MSAD_normal_7"]
    values = {
        "MEMBERS": lookup.members_hash(videos),
        "ORDER": lookup.order_hash(videos),
        "SPANS": span_hash({"Fire_3": (Span(5, 90),)}),
    }
    code = EDIT
    for name, value in values.items():
        code = code.replace(name, repr(value))
    done = call("-c", code, str(tmp_path))
    assert done.returncode == 0, done.stderr
    report = done.stdout.splitlines()
    assert "release        MSAD second test, the 2 videos" in report
    assert "order          made up" in report
    assert "truth              second split (MSAD)" in report
    assert report[-2:] == ["clean", "Assault"]
