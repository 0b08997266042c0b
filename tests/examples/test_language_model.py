"""The language model's cache: however a text is cut into steps, eagerly and from the file, the logits are the same."""

import importlib
from pathlib import Path

import numpy as np
import pytest

import sardonyx as sx

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
VOCABULARY, WIDTH, DEPTH = 11, 16, 2


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    pytest.importorskip("PIL")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        example = importlib.import_module("language_model")
    sx.utils.set_random_seed(0)
    model = example.LanguageModel(VOCABULARY, WIDTH, DEPTH)
    sessions = example.export(model, tmp_path_factory.mktemp("files"), 9, 4)
    return example, model, sessions


CUTS = [
    # batch, and the tokens of each step
    (1, [1] * 6),
    (1, [6]),
    (2, [5, 1]),
    (3, [1, 4, 2]),
    (3, [3, 1, 1, 3, 1]),
]


@pytest.mark.parametrize(("batch", "steps"), CUTS)
def test_logits_do_not_depend_on_how_a_text_is_cut(files, batch, steps):
    example, model, sessions = files
    tokens = np.random.default_rng(len(steps)).integers(0, VOCABULARY, (batch, sum(steps))).astype(np.int32)
    whole = model(tokens).numpy()
    np.testing.assert_allclose(sessions[""].run(None, {"tokens": tokens})[0], whole, rtol=1e-4, atol=1e-5)
    empty = np.zeros((DEPTH, batch, 0, example.HEADS, WIDTH // example.HEADS), np.float32)
    on_numpy, on_runtime, first = (empty, empty), (empty, empty), 0
    for size in steps:
        part = tokens[:, first : first + size]
        found, *on_runtime = sessions["_step"].run(
            ["logits", "new_keys", "new_values"], {"tokens": part, "keys": on_runtime[0], "values": on_runtime[1]}
        )
        logits, on_numpy = model.advance(part, on_numpy)
        for each in (found, logits.numpy()):
            np.testing.assert_allclose(each, whole[:, first : first + size], rtol=1e-4, atol=1e-5)
        first += size
        assert on_runtime[0].shape == on_numpy[1].shape == (DEPTH, batch, first, *empty.shape[3:])


@pytest.mark.parametrize(("batch", "time"), [(1, 1), (1, 5), (3, 2)])
def test_the_file_that_generates_draws_what_numpy_draws(files, batch, time):
    example, model, sessions = files
    prompt = np.random.default_rng(time).integers(0, VOCABULARY, (batch, time)).astype(np.int32)
    texts = []
    for seed, temperature in [(0, 1.0), (1, 1.0), (1, 1e-4)]:
        feed = {"prompt": prompt, "seed": np.array([seed, 0], np.uint32), "temperature": np.float32(temperature)}
        found = sessions["_generate"].run(None, {**feed, "temperature": np.array(temperature, np.float32)})[0]
        np.testing.assert_array_equal(found, example.Generate(model, 9, 4)(*feed.values())["tokens"].numpy())
        texts.append(found.tolist())
    assert texts[0] != texts[1]
    for row, drawn in zip(prompt, texts[2], strict=True):  # so cold that only the likeliest token is drawn
        assert example.decode(sessions, model, row.tolist(), 9, cached=True)[0][time:] == drawn


def test_byte_pairs_give_the_text_back(files):
    text = "the theatre, the three  themes:\n    then 10 + 100\n" * 3
    pairs = importlib.import_module("byte_pairs").BytePairs(text, 40)
    numbers = pairs.encode(text)
    assert pairs.decode(numbers) == text and len(numbers) < len(text) / 2
    assert "the" in pairs.tokens and len(pairs.tokens) == 40
    with pytest.raises(KeyError):
        pairs.encode("q")
