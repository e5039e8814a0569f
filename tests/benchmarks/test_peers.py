"""Other systems: their losses by hand, and the rule that chooses their step."""

import dataclasses
import json

import numpy as np
import pytest

from benchmarks import peer_numbers, peers
from refinevad_jax.errors import UserError

REASON = "the peers are written in PyTorch, which is not installed"


@pytest.fixture
def task(tiny_data):
    return peers.Task(str(tiny_data), "tiny", ["val"], 8, "val", 1, 2)


def last_line(text):
    return json.loads(text.splitlines()[-1])


def bce(probability, label):
    return -np.log(probability) if label else -np.log1p(-probability)


def test_scores_that_know_the_truth_have_every_number_at_its_best(task):
    info, _, held = peers.read_reported(dataclasses.replace(task, num_segments=64))
    videos = held["val"]
    frames = [16 * bag.num_segments for bag in videos.bags]
    scores = np.zeros((len(frames), 64))
    for row, bag, length in zip(scores, videos.bags, frames, strict=True):
        for start, end, _ in bag.spans.tolist():
            row[start * 64 // length : -(-end * 64 // length)] = 1.0
    found = peer_numbers.numbers(
        info, videos.bags, scores, scores.max(axis=1), videos.labels.astype(float)
    )
    assert found["video_auc"] == found["category_accuracy"] == 1.0
    assert found["frame_auc"] > 0.99 and found["false_alarm_rate"] == 0.0
    assert found["map_at_0.5"] == found["map"] == found["map_place_alone"] == 1.0


def test_the_table_has_mean_and_deviation_and_the_json_every_seed():
    seeds = [dict.fromkeys(peer_numbers.COLUMNS, value) for value in (0.5, 0.7)]
    seeds[1]["map"] = float("nan")
    text = peer_numbers.report("X", {"val, rule": seeds}, {"system": "X"})
    row = text.splitlines()[2]
    assert row.startswith("| val, rule | 0.600 ± 0.141 |") and "| – |" in row
    assert last_line(text)["rows"]["val, rule"][1]["map"] is None


def test_bad_flags_are_one_line(task):
    for change, words in (
        ({"selection_split": "test"}, "nothing is chosen on the test split"),
        ({"dataset": "other"}, "no data set 'other'"),
        ({"split": ["dev"]}, "no split 'dev'"),
        ({"split": []}, "name at least one split"),
        ({"split": ["train"]}, "no video of it has frame truth"),
    ):
        changed = dataclasses.replace(task, **change)
        with pytest.raises(UserError, match=words):
            if change.get("selection_split"):
                peers.run_system("X", "x_network", changed)
            else:
                peers.read_reported(changed)


def test_without_a_library_it_says_what_to_install(task, monkeypatch):
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="RTFM is written in PyTorch; pip install torch"):
        peers.run_system("RTFM", "rtfm_network", task)
    with pytest.raises(UserError, match="pip install scikit-learn"):
        peers.read_reported(task)


def test_one_list_is_held_out_as_training_does(task, capsys):
    _, train, _ = peers.read_reported(task)
    first, again, other = (peers._hold_out(train, seed) for seed in (0, 0, 1))
    ids = [{bag.video_id for bag in part.bags} for part in first]
    assert not ids[0] & ids[1] and len(ids[0] | ids[1]) == 24
    assert all(part.anomalous.any() and not part.anomalous.all() for part in first)
    assert [bag.video_id for bag in again[1].bags] == [bag.video_id for bag in first[1].bags]
    assert {bag.video_id for bag in other[1].bags} != ids[1]
    assert first[1].features.shape == (len(ids[1]), 8, 24)


def test_a_selection_of_one_kind_is_refused(task):
    _, _, held = peers.read_reported(task)
    normal = held["val"].those(~held["val"].anomalous)
    with pytest.raises(UserError, match="--selection_split=val: its videos are all of one kind"):
        peers._selection(task, {"val": normal})


@pytest.mark.parametrize("module", ["rtfm_network", "ur_dmu_network", "pel4vad_network"])
def test_a_system_trains_is_looked_at_and_reported(task, module, capsys):
    pytest.importorskip("torch", reason=REASON)
    text = peers.run_system("X", module, task)
    found = last_line(text)
    assert list(found["rows"]) == [f"val, {rule}" for rule in (peers.BY_LABELS, peers.BY_FRAMES)]
    best, optimistic = (seeds[0] for seeds in found["rows"].values())
    assert optimistic["frame_auc"] >= best["frame_auc"] and best["step"] == 2
    assert 0 <= best["map"] <= 1 and "tiny" in text


def test_a_step_chosen_elsewhere_has_no_optimistic_row(task, capsys):
    pytest.importorskip("torch", reason=REASON)
    elsewhere = dataclasses.replace(task, split=["test"], selection_split="train")
    found = last_line(peers.run_system("X", "pel4vad_network", elsewhere))
    assert list(found["rows"]) == [f"test, {peers.BY_LABELS}"]


def test_the_later_of_two_equal_steps_is_chosen(task, monkeypatch):
    training = pytest.importorskip("benchmarks.peer_training", reason=REASON)
    info, train, held = peers.read_reported(task)
    val = held["val"]
    right = np.repeat(val.anomalous[:, None], 8, axis=1).astype(float)
    # Wrong, right, right, wrong: the scores are the same for all steps but their sign.
    steps = [(5, lambda f: 1 - right), (10, lambda f: right), (15, lambda f: right)]
    monkeypatch.setattr(training, "looks", lambda *_: iter([*steps, (20, lambda f: 1 - right)]))
    best = peers._best(None, info, train, val, held, 0, 20)
    assert best["val", peers.BY_LABELS][0] == 15


def test_the_loss_of_rtfm_by_hand():
    torch = pytest.importorskip("torch", reason=REASON)
    from benchmarks.rtfm_network import loss

    features = np.array([[[3.0, 4.0], [0.0, 1.0]], [[0.0, 2.0], [6.0, 8.0]]])
    scores = np.array([[0.2, 0.4], [0.3, 0.9]])
    seen = np.array([[1.0, 1.0], [1.0, 0.0]])  # the largest of the anomalous video is hidden
    expected = (
        (bce(0.2, 0) + bce(0.3, 1)) / 2
        + 1e-4 * (abs(100 - 2) + 5) ** 2
        + 8e-4 * 0.6**2
        + 8e-3 * np.hypot(0.3, 0.9)
    )
    found = loss(*(torch.from_numpy(values).float() for values in (features, scores, seen)))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_the_losses_of_ur_dmu_by_hand():
    torch = pytest.importorskip("torch", reason=REASON)
    from benchmarks import ur_dmu_network as network

    def tensor(values):
        return torch.tensor(values, dtype=torch.float32)

    scores = tensor([[0.1, 0.3], [0.6, 0.2]])
    assert float(network.score_loss(scores)) == pytest.approx((bce(0.3, 0) + bce(0.6, 1)) / 2)
    own, other, found, rest = [[0.9, 0.8]], [[0.1, 0.4]], [[0.3, 0.7]], [[0.2, 0.6]]
    expected = bce(0.7, 1) + bce(0.8, 1)
    expected += (bce(0.9, 1) + bce(0.8, 1)) / 2 + (bce(0.1, 0) + bce(0.4, 0)) / 2
    memory = network.memory_loss(*map(tensor, (own, other, found, rest)))
    assert float(memory) == pytest.approx(expected, rel=1e-5)
    directions = tensor([[2.0, 0.0]]), tensor([[0.0, 3.0]]), tensor([[-1.0, 0.0]])
    assert float(network.triplet_loss(*directions)) == pytest.approx(np.sqrt(2) - 2 + 1, rel=1e-4)
    mean, log_variance = np.array([[[1.0], [2.0]]]), np.array([[[0.0], [np.log(4)]]])
    expected = 0.5 * ((1 + 1 - 1 - 0) + (4 + 4 - 1 - np.log(4)))
    assert float(network.divergence(tensor(mean), tensor(log_variance))) == pytest.approx(expected)
    distance = network.distance_loss(tensor([[3.0, 4.0]]), tensor([[0.0, 60.0]]))
    assert float(distance) == 100 - 60 + 5
    # 16 segments and more: the mean of two.
    nearness = torch.linspace(0, 1, 16)[None]
    assert float(network.mean_of_highest(nearness)) == pytest.approx((1 + 14 / 15) / 2)
    taken = network.taken(torch.arange(16.0)[None, :, None], nearness)
    assert float(taken) == 14.5


def test_local_attention_of_ur_dmu_falls_with_the_distance():
    torch = pytest.importorskip("torch", reason=REASON)
    from benchmarks.ur_dmu_network import WIDTH, GlobalLocalAttention

    torch.manual_seed(0)
    attention = GlobalLocalAttention().eval()
    with torch.no_grad():
        inputs = torch.zeros(4 * WIDTH, WIDTH)
        inputs[3 * WIDTH :] = torch.eye(WIDTH)  # no content, place is the input
        attention.inputs.weight.copy_(inputs)
        head = WIDTH // 4
        picked = torch.zeros(WIDTH, 2 * WIDTH)
        picked[0, head] = 1.0  # the first channel of place in the first head
        attention.output[0].weight.copy_(picked)
        attention.output[0].bias.zero_()
        x = torch.zeros(1, 3, WIDTH)
        x[0, 0, 0] = 1.0
        found = attention(x)[0, :, 0].numpy()
    weights = np.exp(-np.abs(np.subtract.outer(np.arange(3), np.arange(3))) / np.e)
    np.testing.assert_allclose(found, (weights / weights.sum(axis=1, keepdims=True))[:, 0], 1e-5)


def test_the_losses_of_pel4vad_by_hand():
    torch = pytest.importorskip("torch", reason=REASON)
    from benchmarks.pel4vad_network import prompt_loss, score_loss

    scores = np.array([[0.1, 0.3], [0.6, 0.2]])
    labels = np.array([[0.0, 0.0], [0.0, 1.0]])
    found = score_loss(*(torch.from_numpy(values) for values in (scores, labels)))
    assert float(found) == pytest.approx((bce(0.3, 0) + bce(0.6, 1)) / 2)

    rng = np.random.default_rng(0)
    features, prompts = rng.normal(size=(2, 2, 3)), rng.normal(size=(3, 3))

    def attended(video, values):
        weights = np.exp(10 * values) - 1
        return weights / weights.sum() @ features[video]

    # Foregrounds of both videos, then the background of the anomalous one, which is normal.
    rows = [attended(0, scores[0]), attended(1, scores[1]), attended(1, 1 - scores[1])]
    own = prompts[[0, 2, 0]]
    cosine = np.array([[r @ p / np.linalg.norm(r) / np.linalg.norm(p) for p in own] for r in rows])
    log_probs = 5 * cosine - np.log(np.exp(5 * cosine).sum(axis=1, keepdims=True))
    target = np.exp(10.0 * np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]]))
    target /= target.sum(axis=1, keepdims=True)
    expected = (target * (np.log(target) - log_probs)).sum() / 3
    arrays = (features, scores, labels, prompts, np.array(5.0))
    assert float(prompt_loss(*map(torch.from_numpy, arrays))) == pytest.approx(expected)


def test_the_window_of_pel4vad_looks_no_further(monkeypatch):
    torch = pytest.importorskip("torch", reason=REASON)
    from benchmarks.pel4vad_network import ContextAggregation, Network

    torch.manual_seed(0)
    context = ContextAggregation(8).eval()
    with torch.no_grad():
        context.share.fill_(-100.0)  # the window alone
        x = torch.randn(1, 12, 8)
        other = x.clone()
        other[0, 11] += 1.0
        # The norm over time is the same factor for all segments of a channel.
        ratios = [context(values)[0] for values in (x, other)]
        changed = (ratios[0] - ratios[1]).abs().amax(dim=1) > 1e-4
    assert changed[7:].all()
    assert Network(8, 2)(x).shape == (1, 12)
    assert Network.rate(0.0) == 1.0 and 0 < Network.rate(1.0) < 0.1
