"""What --input may say."""

import pathlib

import pytest

from refinevad_jax.cameras.names import read_inputs
from refinevad_jax.errors import UserError


def test_names_of_cameras(tmp_path: pathlib.Path) -> None:
    clip = tmp_path / "night=1.mp4"
    clip.touch()
    yard = "rtsp://user:SeCrEt@10.0.0.7/live?key=a"
    assert read_inputs(["the gate=rtsp://10.0.0.8/a?b=c", yard, "0", "-", str(clip)]) == {
        "the gate": "rtsp://10.0.0.8/a?b=c",
        "user:***@10.0.0.7/live?***": yard,
        "camera 0": "0",
        "standard input": "-",
        "night=1": str(clip),
    }


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["a=rtsp://h/1", "a=rtsp://h/2"], "two cameras are called a"),
        (["a=-", "b=-"], "standard input can be one camera alone"),
        (["a=/no/such.mp4"], r"a=/no/such\.mp4: no such file"),
        ([f"{'a' * 81}=0"], "1 to 80 visible signs"),
        (["a\x1b[2J=0"], "visible signs"),
        ([" =0"], "visible signs"),
        (["<b>1</b>=rtsp://u:SeCrEt@h/1"], r"=rtsp://u:\*\*\*@h/1: is not an address; a name"),
        (["<img src=x>=rtsp://u:SeCrEt@h/1"], r"u:\*\*\*@h/1: is not an address; a name"),
    ],
)
def test_what_is_refused(inputs: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_inputs(inputs)
