"""Who is in which split: by label, by recording, and the same for good."""

import collections

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.own_data.splits import MIN_TRAIN, NORMAL, TEST, TRAIN, Member, recording, split

SETTINGS = settings(max_examples=200, deadline=None)
LABELS = st.sampled_from([NORMAL, "fight", "fall"])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("gate_0001_clip3.mp4", "gate_0001"),
        ("gate_0001-part 12.avi", "gate_0001"),
        ("day/gate.seg_4.mp4", "day/gate"),
        ("Arrest048_x264_17.mp4", "Arrest048_x264"),
        ("Fighting033_x264_570_841.mp4", "Fighting033_x264"),
        ("Casino__#00-01-45_00-02-50_label_B1-0-0.mp4", "Casino"),
        ("gate_0001.mp4", ""),  # a bare number may count recordings
        ("clip_0001.mp4", ""),
        ("paperclip3.mp4", ""),
        ("Arrest048_x264.mp4", ""),
    ],
)
def test_recordings_are_read_from_names(path: str, expected: str) -> None:
    assert recording(path) == expected


def alone(label: str, count: int) -> list[Member]:
    return [Member(f"{label}{i}", label, f"{label}{i}") for i in range(count)]


def test_a_share_of_every_label() -> None:
    members = alone(NORMAL, 20) + alone("fight", 10) + alone("fall", 3) + alone("fire", 1)
    found = split(members, 0.3, {})
    tested = collections.Counter(member.label for member in members if found[member.name] == TEST)
    assert tested == {NORMAL: 6, "fight": 3, "fall": 1}
    assert split(members[::-1], 0.3, {}) == found


def test_very_few_videos_have_no_test() -> None:
    members = alone(NORMAL, 2) + alone("fight", 2)
    assert set(split(members, 0.3, {}).values()) == {TRAIN}


def test_a_recording_with_both_kinds_is_not_divided() -> None:
    members = alone(NORMAL, 4) + alone("fight", 4)
    members += [Member("a1", NORMAL, "a"), Member("a2", "fight", "a"), Member("a3", "fight", "a")]
    for fraction in (0.1, 0.3, 0.5, 0.9):
        found = split(members, fraction, {})
        assert len({found[name] for name in ("a1", "a2", "a3")}) == 1


@st.composite
def videos(draw: st.DrawFn) -> list[Member]:
    rows = draw(st.lists(st.tuples(LABELS, st.integers(0, 30)), min_size=1, max_size=40))
    return [Member(f"v{i}", label, f"s{source}") for i, (label, source) in enumerate(rows)]


@SETTINGS
@given(videos(), st.floats(0.05, 0.9))
def test_properties(members: list[Member], fraction: float) -> None:
    found = split(members, fraction, {})
    assert set(found) == {member.name for member in members}
    of_source: dict[str, set[str]] = {}
    for member in members:
        of_source.setdefault(member.source, set()).add(found[member.name])
    assert all(len(splits) == 1 for splits in of_source.values())
    if TEST in found.values():
        left = [member.label for member in members if found[member.name] == TRAIN]
        assert set(left) == {member.label for member in members}
        normal = left.count(NORMAL)
        assert min(normal, len(left) - normal) >= MIN_TRAIN


@SETTINGS
@given(videos(), videos(), st.floats(0.05, 0.9))
def test_added_videos_move_no_other(old: list[Member], new: list[Member], fraction: float) -> None:
    before = split(old, fraction, {})
    added = [member._replace(name=f"new{member.name}") for member in new]
    after = split([*added, *old], fraction, before)
    assert {name: after[name] for name in before} == before
    places = {member.source: before[member.name] for member in old}
    assert all(after[one.name] == places[one.source] for one in added if one.source in places)


@SETTINGS
@given(st.integers(2, 60), st.integers(2, 60), st.floats(0.05, 0.9))
def test_single_videos_are_split_exactly(normal: int, fights: int, fraction: float) -> None:
    members = alone(NORMAL, normal) + alone("fight", fights)
    found = split(members, fraction, {})
    for label, count in ((NORMAL, normal), ("fight", fights)):
        tested = sum(found[m.name] == TEST for m in members if m.label == label)
        assert tested == min(max(int(fraction * count + 0.5), 1), count - MIN_TRAIN)
