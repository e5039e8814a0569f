import itertools
import subprocess

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from data_prep.simulation.gaussian import (
    MIN_VIDEOS,
    TAXONOMY,
    Plan,
    draw_plan,
    draw_world,
    simulate,
    split_sizes,
)
from data_prep.simulation.simulated_features import MODALITIES, Event, draw_features, envelope
from refinevad_jax.data.bags import read_info, read_split
from tests.conftest import call


def run(*flags: str) -> subprocess.CompletedProcess:
    return call("data_prep.simulate", *flags)


def plans(count: int) -> list[Plan]:
    world = draw_world(np.random.default_rng(0))
    return [draw_plan(np.random.default_rng([1, index]), world, index) for index in range(count)]


def test_a_simulated_data_set_is_written_read_and_repeated(tmp_path):
    for name in ("one", "two"):
        done = run(f"--data_dir={tmp_path / name}", "--num_videos=40", "--seed=3")
        assert (done.returncode, done.stderr) == (0, "")
    assert "simulated" in done.stdout
    assert "--config=configs/demo.py --config.data.dataset=sim" in done.stdout

    files = [path for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(files) == 6
    for path in files:
        twin = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == twin.read_bytes(), path.name

    info = read_info(str(tmp_path / "one"), "sim")
    assert info.simulated
    for split, size in {"train": 24, "val": 8, "test": 8}.items():
        bags = read_split(str(tmp_path / "one"), "sim", split)
        assert len(bags) == size
        assert sum(bag.anomalous for bag in bags) == size // 2
        assert {bag.has_truth for bag in bags} == {split != "train"}
        assert all((len(bag.spans) > 0) == (bag.anomalous and bag.has_truth) for bag in bags)
        for bag in bags:
            assert bag.features.shape == (1, bag.num_frames // 16, info.width)
            assert 24 <= bag.num_segments <= 400


@pytest.mark.parametrize("flag", ["--num_videos=19", "--difficulty=1.5", "--seed=-1", "--seed=x"])
def test_misuse_ends_in_one_line(flag, tmp_path):
    done = run(f"--data_dir={tmp_path / 'data'}", flag)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_everything_follows_from_the_arguments():
    def features(**changes) -> list[np.ndarray]:
        arguments = {"num_videos": 20, "seed": 0, "difficulty": 0.5, **changes}
        _, videos = simulate("sim", **arguments)
        return [video.load_features() for video in videos]

    first = features()
    assert all(np.array_equal(a, b) for a, b in zip(first, features(), strict=True))
    assert not np.array_equal(first[0][0, :24], features(seed=1)[0][0, :24])
    # Difficulty changes how much an event shows, not what happens when.
    harder = features(difficulty=0.9)
    assert [video.shape for video in harder] == [video.shape for video in first]
    assert not np.array_equal(harder[1], first[1])


@pytest.mark.parametrize("num_videos", [MIN_VIDEOS, 61, 240])
def test_splits_add_up_and_train_sees_every_category(num_videos):
    assert sum(split_sizes(num_videos).values()) == num_videos
    _, videos = simulate("sim", num_videos=num_videos, seed=0, difficulty=0.5)
    seen = sum(TAXONOMY.multi_hot(v.label).astype(int) for v in videos if v.split == "train")
    assert seen.min() >= 1


def test_videos_are_as_varied_as_promised():
    drawn = plans(1000)
    normal, anomalous = drawn[::2], drawn[1::2]
    assert not any(plan.spans for plan in normal)
    assert {plan.label for plan in normal} == {"normal"}
    for plan in anomalous:
        assert {span.category for span in plan.spans} == set(plan.label.split("+"))
        assert all(0 <= span.start < span.end <= plan.num_frames for span in plan.spans)
        assert min(span.end - span.start for span in plan.spans) >= 32

    share = [sum(s.end - s.start for s in plan.spans) / plan.num_frames for plan in anomalous]
    assert np.mean(np.array(share) >= 1) > 0.02  # anomalous throughout, or nearly twice over
    assert np.mean(np.array(share) < 0.15) > 0.1
    two = [plan for plan in anomalous if "+" in plan.label]
    assert 0.1 < len(two) / len(anomalous) < 0.25
    overlapping = [plan for plan in two if plan.spans[0].end > plan.spans[1].start]
    assert 0.1 < len(overlapping) / len(two) < 0.9
    assert any(len(plan.spans) > 1 and "+" not in plan.label for plan in anomalous)

    # Hard normal videos: some move strongly, some lean towards a category for long.
    assert 0.1 < np.mean([plan.agitation > 1.5 for plan in normal]) < 0.3
    assert 0.1 < np.mean([any(e.gain < 1 for e in plan.events) for plan in normal]) < 0.3
    for kind in (normal, anomalous):  # distractors tell nothing
        assert 0.4 < np.mean([len(p.events) > len(p.spans) for p in kind]) < 0.8
    lengths = np.array([plan.num_frames // 16 for plan in drawn])
    assert lengths.min() == 24
    assert 50 < np.median(lengths) < 80
    assert np.quantile(lengths, 0.97) > 180


def test_categories_point_almost_the_same_way_in_pairs():
    world = draw_world(np.random.default_rng(0))
    width = MODALITIES[0].width
    visual = world.categories[:, :width]
    np.testing.assert_allclose(np.linalg.norm(visual, axis=1), 1)
    cosine = visual @ visual.T
    for a, b in itertools.combinations(range(TAXONOMY.num_categories), 2):
        assert (cosine[a, b] > 0.5) == (a // 2 == b // 2), (a, b)


def lean(motion: str) -> np.ndarray:
    """The envelope of a motion over 40 segments."""
    return envelope(motion, 40, np.random.default_rng(0))


def test_motions_differ_in_time():
    assert np.all(lean("step") == 1)
    assert np.all(np.diff(lean("ramp")) > 0)
    assert np.all(np.diff(lean("alternation"))[:-1] * np.diff(lean("alternation"))[1:] < 0)
    turns = np.sum(np.diff(np.sign(np.diff(lean("oscillation")))) != 0)
    assert 7 <= turns <= 17  # two in a period of 5 to 9 segments
    assert np.std(np.diff(lean("burst"))) > 0.4
    for category in TAXONOMY.categories:
        assert 0.8 < lean(category).mean() < 1.2


def test_frozen_segments_do_not_move_and_bursts_move_more():
    zero = np.zeros(sum(modality.width for modality in MODALITIES))

    def motion(kind: str) -> np.ndarray:
        event = Event(160, 480, zero, kind, 1.0)
        features = draw_features(
            [0], num_frames=640, scene=zero, events=[event], agitation=1.0, strength=1.0
        )
        visual = features[0, :, : MODALITIES[0].width]
        return np.diff(visual, axis=0).var(axis=1)

    frozen, still = motion("freeze"), motion("step")
    assert np.all(frozen[10:29] == 0)
    assert np.all(frozen[:9] > 0)
    assert motion("burst")[10:29].mean() > 2 * still[10:29].mean()


def test_an_event_begins_and_ends_within_a_segment():
    direction = np.eye(128)[0]

    def first_channel(events) -> np.ndarray:
        features = draw_features(
            [0], num_frames=100, scene=0 * direction, events=events, agitation=0.0, strength=2.0
        )
        assert features.shape == (1, 6, 128)
        return features[0, :, 0]

    added = first_channel([Event(24, 68, direction, "step", 1.0)]) - first_channel([])
    np.testing.assert_allclose(added, [0, 1, 2, 2, 0.5, 0], atol=1e-6)


def video_scores(difficulty: float) -> tuple[float, float]:
    """Video AUC of a logistic regression on mean features, and of one that was told the spans."""
    world = draw_world(np.random.default_rng([0, 0]))
    _, videos = simulate("sim", num_videos=240, seed=0, difficulty=difficulty)
    bags = [video.load_features()[0] for video in videos]
    segment_truth = []
    sizes = list(split_sizes(240).values())
    indices = [index for size in sizes for index in range(size)]
    for number, (bag, index) in enumerate(zip(bags, indices, strict=True)):
        plan = draw_plan(np.random.default_rng([0, 1, number]), world, index)
        middle = np.arange(len(bag)) * 16 + 8
        inside = [(span.start <= middle) & (middle < span.end) for span in plan.spans]
        segment_truth.append(np.any(inside, axis=0) if inside else np.zeros(len(bag), bool))
    anomalous = np.array([truth.any() for truth in segment_truth])
    train = np.arange(240) < sizes[0]

    def fit(features: np.ndarray, target: np.ndarray):
        scaler = StandardScaler().fit(features)
        model = LogisticRegression(C=0.01, max_iter=500).fit(scaler.transform(features), target)
        return lambda new: model.decision_function(scaler.transform(new))

    means = np.array([bag.mean(axis=0) for bag in bags])
    score = fit(means[train], anomalous[train])
    by_mean = roc_auc_score(anomalous[~train], score(means[~train]))
    stacked = np.concatenate([bag for bag, chosen in zip(bags, train, strict=True) if chosen])
    score = fit(stacked, np.concatenate(segment_truth[: sizes[0]]))
    highest = [np.sort(score(bag))[-(len(bag) // 16 + 1) :].mean() for bag in bags[sizes[0] :]]
    return by_mean, roc_auc_score(anomalous[~train], highest)


def test_the_default_is_learnable_from_segments_and_not_from_means_alone():
    by_mean, by_segment = video_scores(0.5)
    assert 0.7 < by_mean < 0.95
    assert by_segment > 0.97


def test_difficulty_makes_it_harder():
    assert video_scores(0.0)[1] > 0.99
    assert video_scores(1.0)[1] < 0.85
