import numpy as np
import pytest

from data_prep.resampling import mean_per_bin, rows_at, vadclip_test, vadclip_train

LENGTHS = (5, 31, 32, 33, 100, 200, 201, 255, 256, 257, 300, 511, 512, 513, 1000)


def signal(length: int) -> np.ndarray:
    t, d = np.arange(length)[:, None], np.arange(4)[None]
    return np.float32(np.sin(0.1 * t * (d + 1)) + 0.01 * t)


def test_hand_values():
    rows = np.array([[1.0], [2.0], [4.0], [8.0]], np.float32)
    np.testing.assert_array_equal(mean_per_bin(rows, 2), [[1.5], [6.0]])
    np.testing.assert_array_equal(mean_per_bin(rows[:2], 4), [[1.0], [1.0], [2.0], [2.0]])
    np.testing.assert_array_equal(rows_at(rows, 3), [[1.0], [2.0], [8.0]])
    np.testing.assert_array_equal(rows_at(rows, 5), [[1.0], [2.0], [4.0], [8.0], [0.0]])
    padded, length = vadclip_train(rows, 5)
    assert length == 4 and padded[4, 0] == 0
    # An exact multiple gets a chunk of zeros more.
    assert vadclip_test(rows, 4).shape == (2, 4, 1) and not vadclip_test(rows, 4)[1].any()


@pytest.mark.parametrize("length", LENGTHS)
def test_published_resamplers_bit_for_bit(shared_data, length):
    with np.load(shared_data / "golden/resample.npz") as golden:
        features = signal(length)
        padded, kept = vadclip_train(features)
        chunks = vadclip_test(features)
        assert kept == golden[f"vadclip_train256_len_L{length}"]
        assert chunks.shape == tuple(golden[f"vadclip_split256_shape_L{length}"])
        for ours, name in (
            (padded, "vadclip_train256"),
            (chunks[-1], "vadclip_split256_last"),
            (mean_per_bin(features, 32), "rtfm32"),
            (mean_per_bin(features, 200), "rtfm_style200"),
            (rows_at(features), "pel_uniform200"),
        ):
            np.testing.assert_array_equal(ours, golden[f"{name}_L{length}"])
