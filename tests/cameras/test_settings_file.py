"""A settings file that is changed, broken and taken away."""

import os
import pathlib

import pytest

from refinevad_jax.cameras.settings_file import SettingsFile
from refinevad_jax.errors import UserError

BAD = ["", "{", "[]", '{"threshold": 2}', '{"threshold": NaN}', '{"threshold": true}', "[" * 9999]
BAD += ['{"threshold": "0.5"}', '{"treshold": 0.5}', "\udcff"]


def test_it_is_read_again_and_bad_content_changes_nothing(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.json"
    path.write_text("{}")
    settings = SettingsFile(path, 0.3)
    assert settings.threshold == 0.3 and not settings.changed()
    path.write_text('{"threshold": 0.75}')
    assert settings.changed() and settings.threshold == 0.75 and not settings.changed()
    assert "threshold 0.75, before 0.3" in capsys.readouterr().err
    for number, bad in enumerate(BAD):
        path.write_bytes(os.fsencode(bad))
        os.utime(path, (number, number))
        assert not settings.changed() and settings.threshold == 0.75
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and said.endswith("the threshold stays 0.75\n")
        with pytest.raises(UserError, match="--settings_file="):
            SettingsFile(path, 0.3)
    path.unlink()
    assert not settings.changed() and "cannot be read" in capsys.readouterr().err
    assert not settings.changed() and not capsys.readouterr().err  # said once
    path.write_text('{"threshold": 1}')
    assert settings.changed() and settings.threshold == 1.0
