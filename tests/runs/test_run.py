import json
import pathlib

import pytest
from ml_collections import ConfigDict

from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import json_sha256
from refinevad_jax.runs.run import read_run
from refinevad_jax.training import loop


def test_a_run_of_another_version_is_neither_read_nor_continued(
    trained: pathlib.Path, tiny_config: ConfigDict, tmp_path: pathlib.Path
) -> None:
    content = json.loads((trained / "config.json").read_text())
    del content["sha256"]
    content["config"]["loss"]["other_weight"] = 1.0
    text = json.dumps(content | {"sha256": json_sha256(content)})
    (tmp_path / "config.json").write_text(text)
    message = "written .*unknown key loss.other_weight.* train again in a new workdir"
    with pytest.raises(UserError, match=message):
        read_run(tmp_path)
    with pytest.raises(UserError, match=message):
        loop.train(tiny_config, tmp_path)
    assert (tmp_path / "config.json").read_text() == text
    assert not (tmp_path / "checkpoints").exists()
