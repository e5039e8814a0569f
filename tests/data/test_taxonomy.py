import hypothesis
import hypothesis.strategies as st
import pytest

from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from data_prep.catalogue.xd_violence import TAXONOMY as XD_VIOLENCE
from refinevad_jax.data.taxonomy import Taxonomy
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
    with pytest.raises(UserError, match=r"'NonFighting' \(if it means normal, write it under"):
        UCF_CRIME.multi_hot("NonFighting")


def test_a_span_has_one_category_or_several():
    assert [XD_VIOLENCE.span_index(label) for label in ("G", "B1-0-0", "B1-B2-0")] == [5, 0, -1]
    for label in ("A", "B3", "B1-B3-0"):
        with pytest.raises(UserError, match="unknown label"):
            XD_VIOLENCE.span_index(label)


@pytest.mark.parametrize(
    ("label", "hint"),
    [
        ("Fightt", "'Fight'"),
        ("fights", "'Fight'"),
        ("Normol", "'Normal'"),
        ("NonFight", ""),
        ("no fight", ""),
        ("Abnormal", ""),
        ("anomaly", ""),
        ("anomalous", ""),
    ],
)
def test_no_opposite_is_proposed(label, hint):
    with pytest.raises(UserError) as caught:
        Taxonomy("own", ("Fight",), ("Fight",)).multi_hot(label)
    assert ("did you mean " + hint in str(caught.value)) == bool(hint)
    assert ("did you mean" in str(caught.value)) == bool(hint)


@hypothesis.given(st.sets(st.integers(0, 5)), st.randoms())
def test_any_set_of_categories_in_any_order_is_read_back(chosen, random):
    tokens = [XD_VIOLENCE.categories[index] for index in sorted(chosen)]
    random.shuffle(tokens)
    assert indices(XD_VIOLENCE, "-".join(tokens) or "A") == sorted(chosen)
