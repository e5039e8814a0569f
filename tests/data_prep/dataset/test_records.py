import numpy as np
import pytest

from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from data_prep.dataset.videos import Video
from data_prep.dataset.write import write_dataset
from refinevad_jax.data.bags import BagsInfo, Modality, read_info
from refinevad_jax.data.normalization import has_unit_rows, name_normalization
from refinevad_jax.errors import UserError

RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((2, 100, 512))
UNIT = ROWS / np.linalg.norm(ROWS, axis=2, keepdims=True)


def test_unit_rows_stay_unit_in_float16():
    assert has_unit_rows(UNIT.astype(np.float16)) is True
    assert has_unit_rows(UNIT.astype(np.float16).astype(np.float32)) is True


def test_one_row_of_another_length_is_found_wherever_it_is():
    for crop, segment in ((0, 0), (0, 99), (1, 50)):
        features = UNIT.copy()
        features[crop, segment] *= 1.01
        assert has_unit_rows(features.astype(np.float16)) is False


def test_zero_rows_say_nothing():
    features = UNIT.astype(np.float16)
    features[:, :40] = 0
    assert has_unit_rows(features) is True
    assert has_unit_rows(np.zeros_like(features)) is None


@pytest.mark.parametrize(
    ("units", "name"),
    [
        ([True, None, True], "l2"),
        ([True, False], "none"),
        ([None], "none"),
        ([False, None], "none"),
    ],
)
def test_a_data_set_is_normalised_where_every_video_is(units, name):
    assert name_normalization(units) == name


def test_each_modality_is_measured_by_itself_on_every_video(tmp_path):
    modalities = (Modality("visual", 512), Modality("text", 512))
    pair = np.concatenate([UNIT, ROWS], axis=2)
    videos = [Video(f"v{i}", "train", "Normal", lambda: pair, "v.npy") for i in range(3)]
    write_dataset(str(tmp_path), BagsInfo("pair", UCF_CRIME, modalities), videos)
    assert read_info(str(tmp_path), "pair").normalization == {"visual": "l2", "text": "none"}

    both = np.concatenate([UNIT, UNIT], axis=2)
    videos = [Video(f"v{i}", "train", "Normal", lambda: both, "v.npy") for i in range(3)]
    last = Video("last", "test", "Normal", lambda: np.concatenate([ROWS, UNIT], axis=2), "v.npy")
    write_dataset(str(tmp_path), BagsInfo("last", UCF_CRIME, modalities), [*videos, last])
    assert read_info(str(tmp_path), "last").normalization == {"visual": "none", "text": "l2"}


def test_each_modality_is_cast_by_itself(tmp_path, capsys):
    modalities = (Modality("visual", 512), Modality("audio", 512))
    info = BagsInfo("pair", UCF_CRIME, modalities)

    def write(scale: float) -> None:
        pair = np.concatenate([ROWS * scale, ROWS * 100], axis=2)
        videos = [Video(f"v{i}", "train", "Normal", lambda: pair, f"v{i}.npy") for i in range(4)]
        write_dataset(str(tmp_path), info, videos, overwrite=True)

    write(1e-5)
    assert not capsys.readouterr().err
    write(1e-6)
    said = capsys.readouterr().err
    assert said.startswith("warning: v0, v1, v2, ... (4 in all): float16 changes values by 2%")
    with pytest.raises(UserError, match=r"^v0\.npy: visual: all rows become zero in float16"):
        write(1e-9)
