import collections
import csv
import json

import hypothesis
import hypothesis.strategies as st
import pytest

from refinevad_jax.data.taxonomy import UCF_CRIME, XD_VIOLENCE, Taxonomy, load_taxonomy
from refinevad_jax.errors import UserError


def indices(taxonomy: Taxonomy, label: str) -> list[int]:
    return taxonomy.multi_hot(label).nonzero()[0].tolist()


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("A", []),
        ("B1-0-0", [0]),
        ("B2-B6-G", [1, 4, 5]),
        ("G-B2-B6", [1, 4, 5]),
        # The two irregular strings of the released training list.
        ("G", [5]),
        ("B1", [0]),
    ],
)
def test_xd_violence_labels(label, expected):
    assert indices(XD_VIOLENCE, label) == expected


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Normal", []),
        ("A", []),
        ("Abuse", [0]),
        (" Vandalism\r", [12]),
        ("roadaccidents", [7]),
        ("Road accident", [7]),
    ],
)
def test_ucf_crime_labels(label, expected):
    assert indices(UCF_CRIME, label) == expected


@pytest.mark.parametrize("label", ["", "B3", "A-B1", "0-0-0", "B1-", "Fighting-"])
def test_unreadable_labels_are_refused(label):
    with pytest.raises(UserError):
        XD_VIOLENCE.multi_hot(label)


def test_an_unknown_label_is_answered_with_the_known_ones():
    with pytest.raises(UserError, match=r"'Looting'.*Abuse, Arrest.*Normal, A for normal"):
        UCF_CRIME.multi_hot("Looting")


@hypothesis.given(st.sets(st.integers(0, 5)), st.randoms())
def test_any_set_of_categories_in_any_order_is_read_back(chosen, random):
    tokens = [XD_VIOLENCE.categories[index] for index in sorted(chosen)]
    random.shuffle(tokens)
    assert indices(XD_VIOLENCE, "-".join(tokens) or "A") == sorted(chosen)


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


@pytest.mark.parametrize("taxonomy", [UCF_CRIME, XD_VIOLENCE])
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
        ('{"categories": ["a", "a"]}', "stands twice"),
        ('{"categories": ["Normal"]}', "stands twice"),
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
    with pytest.raises(UserError, match="neither built in"):
        load_taxonomy(str(tmp_path / "none.json"))
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not a JSON file"):
        load_taxonomy(str(binary))
