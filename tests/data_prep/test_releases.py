import pytest

from data_prep.catalogue.listed_names import read_names
from data_prep.catalogue.lookup import label_from_name
from data_prep.catalogue.video_names import match_key


@pytest.mark.parametrize(
    ("path", "video", "crop", "ending"),
    [
        ("G:\\UCF_Test_ten_crop_i3d\\Abuse028_x264_i3d.npy", "Abuse028_x264", None, "_i3d"),
        ("/a/b/v=x__#1_label_B1-0-0__5.npy", "v=x__#1_label_B1-0-0", 5, ""),
        ("audio/v=x__#1_label_A__vggish.npy", "v=x__#1_label_A", None, "__vggish"),
        ("test/Abuse028_x264.npy", "Abuse028_x264", None, ""),
        ("v=x__#1_label_G-0-0.mp4", "v=x__#1_label_G-0-0", None, ""),
        ("04_0012_1.avi", "04_0012_1", None, ""),
        ("/x/Fire_3_swin.npy", "Fire_3", None, "_swin"),
        ("single_gt/Abuse028_x264__9_gt.npy", "Abuse028_x264", 9, "_gt"),
    ],
)
def test_path_grammar(path, video, crop, ending):
    (name,) = read_names([path])
    assert (name.video_id, name.crop, name.ending) == (video, crop, ending)


@pytest.mark.parametrize(
    ("video", "label"),
    [
        ("Abuse028_x264", "Abuse"),
        ("RoadAccidents021", "RoadAccidents"),
        ("Normal_Videos_003_x264", "Normal"),
        ("Normal_Videos586_x264", "Normal"),
        ("Normal003", "Normal"),
        ("a__#1_label_B2-B6-G", "B2-B6-G"),
        ("a__#1_label_A", "A"),
        ("a_label_b__#1_label_G", "G"),
        ("01_0014", "Abnormal"),
        ("01_001", "Normal"),
        ("Object_falling_12", "Object_falling"),
        ("MSAD_normal_testing_7", "Normal"),
        ("01_Accident_006", "Accident"),
        ("Train016", "Normal"),
        ("my_own_video", None),
    ],
)
def test_label_from_name(video, label):
    assert label_from_name(video) == label


def test_one_key_for_all_spellings_of_a_ucf_name():
    spellings = ("Normal_Videos_003_x264", "Normal_Videos_003", "Normal003")
    assert {match_key(name) for name in spellings} == {"Normal003"}
    assert match_key("Abuse028_x264") == match_key("Abuse028") == "Abuse028"
    assert match_key("own_video") == "own_video"
