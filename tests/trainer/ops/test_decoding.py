"""Greedy and beam search against plain Python, one sequence at a time, eagerly, as graphs and in onnxruntime."""

import itertools

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters import run_graph, to_onnx

UNITS, VOCABULARY, END = 5, 6, 2


class Recurrent:
    """A small recurrent language: logits of the next token from the token before and a state."""

    def __init__(self, seed, end_bias=0.0, vocabulary=VOCABULARY):
        rng = np.random.default_rng(seed)
        self.embedding = rng.normal(size=(vocabulary, UNITS)).astype(np.float32)
        self.recurrent = rng.normal(size=(UNITS, UNITS)).astype(np.float32)
        self.output = (1.5 * rng.normal(size=(UNITS, vocabulary))).astype(np.float32)
        self.bias = np.eye(vocabulary, dtype=np.float32)[END] * np.float32(end_bias)

    def step(self, tokens, position, states):
        state = ops.tanh(ops.take(self.embedding, tokens, axis=0) + ops.matmul(states["h"], self.recurrent))
        drift = 0.1 * ops.cast(position, "float32")
        return ops.matmul(state, self.output) + self.bias + drift * self.bias, {"h": state}

    def plain(self, token, position, state):
        """Log-probabilities and the next state of one sequence."""
        state = np.tanh(self.embedding[token] + state @ self.recurrent)
        logits = state @ self.output + self.bias * np.float32(1 + 0.1 * position)
        logits = logits - logits.max()
        return logits - np.log(np.exp(logits).sum()), state


def plain_greedy(language, start, state, limit):
    tokens = []
    for position in range(limit):
        logs, state = language.plain(tokens[-1] if tokens else start, position, state)
        if (token := int(logs.argmax())) == END:
            break
        tokens.append(token)
    return tokens


def plain_beam(language, start, state, limit, beams, penalty):
    """Finished sequences kept aside, one list entry a hypothesis."""
    score_of = lambda logs, length: logs / ((5 + length) / 6) ** penalty  # noqa: E731
    alive, finished, position = [(0.0, [], state)], [], 0
    while position < limit and alive:
        if len(finished) == beams and finished[-1][0] >= score_of(alive[0][0], limit):
            break
        grown = []
        for total, tokens, h in alive:
            logs, after = language.plain(tokens[-1] if tokens else start, position, h)
            grown += [(total + float(p), [*tokens, t], after) for t, p in enumerate(logs)]
        grown = sorted(grown, key=lambda entry: -entry[0])[: 2 * beams]
        finished += [(score_of(s, position + 1), tokens[:-1]) for s, tokens, _ in grown if tokens[-1] == END]
        finished = sorted(finished, key=lambda entry: -entry[0])[:beams]
        alive = [entry for entry in grown if entry[1][-1] != END][:beams]
        position += 1
    rest = [(score_of(s, position), tokens) for s, tokens, _ in alive]
    return (finished + rest)[:beams]


def everywhere(function, specs, *arrays):
    """Results of a function eagerly, of its graph on NumPy, and of its ONNX file, each as a list of arrays."""
    graph = sx.trace(function, *[sx.TensorSpec(s, a.dtype) for s, a in zip(specs, arrays, strict=True)])
    eager = [np.asarray(x) for x in function(*map(sx.Tensor, arrays))]
    return {"eager": eager, "graph": [np.asarray(x) for x in graph.run(*arrays)], "onnx": run_graph(graph, *arrays)}


STARTS = [
    # batch, end bias, maximum length: what happens
    (1, 0.0, 8),
    (7, 0.5, 9),  # a mixed batch
    (5, 90.0, 6),  # all stop at step 0
    (5, -90.0, 6),  # none stops before the maximum
    (4, 0.0, 1),
    (3, 0.0, 0),
    (0, 0.0, 4),
]


def start_of(batch, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, VOCABULARY, batch).astype(np.int32), rng.normal(size=(batch, UNITS)).astype(np.float32)


@pytest.mark.parametrize(("batch", "bias", "limit"), STARTS)
@pytest.mark.parametrize("seed", [0, 1])
def test_greedy_search(batch, bias, limit, seed):
    language = Recurrent(seed, bias)
    starts, states = start_of(batch, seed)
    found = everywhere(
        lambda tokens, h: ops.greedy_search(language.step, tokens, {"h": h}, END, limit),
        [("batch",), ("batch", UNITS)], starts, states,
    )  # fmt: skip
    expected = [plain_greedy(language, t, h, limit) for t, h in zip(starts, states, strict=True)]
    for tokens, lengths in found.values():
        assert lengths.tolist() == [len(e) for e in expected]
        assert tokens.tolist() == [e + [END] * (limit - len(e)) for e in expected]
        assert tokens.shape == (batch, limit) and tokens.dtype == lengths.dtype == np.int32


def test_the_mixed_batch_is_mixed():
    language = Recurrent(0, 0.5)
    lengths = {len(plain_greedy(language, t, h, 9)) for t, h in zip(*start_of(7, 0), strict=True)}
    assert {0, 9} < lengths  # none, some and all of the steps


@pytest.mark.parametrize(("batch", "bias", "limit"), STARTS)
@pytest.mark.parametrize(("beams", "penalty"), [(1, 0.0), (2, 1.0), (4, 0.6), (6, 0.0)])
def test_beam_search(batch, bias, limit, beams, penalty):
    language = Recurrent(beams, bias)
    starts, states = start_of(batch, 3)
    found = everywhere(
        lambda tokens, h: ops.beam_search(language.step, tokens, {"h": h}, END, limit, beams, penalty),
        [("batch",), ("batch", UNITS)], starts, states,
    )  # fmt: skip
    for tokens, lengths, scores in found.values():
        assert tokens.shape == (batch, beams, limit) and lengths.shape == scores.shape == (batch, beams)
        for row, (start, state) in enumerate(zip(starts, states, strict=True)):
            expected = plain_beam(language, start, state, limit, beams, penalty)
            known = len(expected)
            assert lengths[row, :known].tolist() == [len(e) for _, e in expected]
            assert tokens[row, :known].tolist() == [e + [END] * (limit - len(e)) for _, e in expected]
            np.testing.assert_allclose(scores[row, :known], [s for s, _ in expected], rtol=1e-4, atol=1e-4)
            assert np.isneginf(scores[row, known:]).all()


@pytest.mark.parametrize("penalty", [0.0, 0.6, 2.0])
def test_enough_beams_find_the_best_of_all_sequences(penalty):
    language, limit = Recurrent(4, vocabulary=4), 4
    starts, states = start_of(1, 5)
    scored = []
    for length in range(limit):
        for tokens in itertools.product([0, 1, 3], repeat=length):
            total, before, state = 0.0, int(starts[0]) % 4, states[0]
            for position, token in enumerate([*tokens, END]):
                logs, state = language.plain(before, position, state)
                total, before = total + float(logs[token]), token
            scored.append((total / ((6 + length) / 6) ** penalty, list(tokens)))
    expected = sorted(scored, key=lambda entry: -entry[0])[:5]
    tokens, lengths, scores = ops.beam_search(language.step, starts % 4, {"h": states}, END, limit, 40, penalty)
    found = [row[:n] for row, n in zip(tokens.tolist()[0], lengths.tolist()[0], strict=True)]
    assert found[:5] == [e for _, e in expected]
    np.testing.assert_allclose(scores.numpy()[0, :5], [s for s, _ in expected], rtol=1e-4)


def test_a_beam_finds_what_greedy_search_misses():
    # the likeliest first token leads nowhere: 0.6 * 0.3 against 0.4 * 0.9
    first, second = np.log([0.6, 0.4, 1e-9]), {0: np.log([0.3, 0.3, 0.4]), 1: np.log([0.05, 0.05, 0.9])}
    table = np.stack([second[0], second[1], first]).astype(np.float32)
    step = lambda tokens, position, states: (ops.take(table, tokens, axis=0), states)  # noqa: E731
    greedy, _ = ops.greedy_search(step, [2], (), 2, 2)
    beam, _, _ = ops.beam_search(step, [2], (), 2, 2, beams=2, length_penalty=0.0)
    assert greedy.tolist() == [[0, 2]] and beam[0, 0].tolist() == [1, 2]


def test_samples_by_seed_are_the_same_in_onnxruntime():
    language = Recurrent(7, -1.0)

    def sample(tokens, h, seed):
        seeds = sx.random.split(seed, 8)
        choose = lambda logits, i: sx.random.categorical(logits, 1, seed=ops.take(seeds, i, axis=0))[:, 0]  # noqa: E731
        return ops.greedy_search(language.step, tokens, {"h": h}, END, 8, choose=choose)

    starts, states = start_of(5, 1)
    drawn = []
    for seed in (1, 2):
        found = everywhere(sample, [("batch",), ("batch", UNITS), (2,)], starts, states, np.array([seed, 0], np.uint32))
        for tokens, lengths in found.values():
            np.testing.assert_array_equal(tokens, found["eager"][0])
            np.testing.assert_array_equal(lengths, found["eager"][1])
        drawn.append(found["eager"][0].tolist())
    assert drawn[0] != drawn[1]


def test_without_an_end_all_steps_are_taken_and_a_length_may_be_symbolic():
    language = Recurrent(2)

    def function(source):
        starts = ops.cast(ops.argmax(source[:, 0], axis=-1), "int32")
        return ops.greedy_search(language.step, starts, {"h": ops.mean(source, axis=1)}, None, 2 * source.shape[1])

    for steps in (1, 3):
        x = np.random.default_rng(steps).normal(size=(2, steps, UNITS)).astype(np.float32)
        found = everywhere(function, [("batch", "time", UNITS)], x)
        for tokens, lengths in found.values():
            assert tokens.shape == (2, 2 * steps) and lengths.tolist() == [2 * steps] * 2
            np.testing.assert_array_equal(tokens, found["eager"][0])


def test_each_search_is_one_loop():
    language = Recurrent(0)
    specs = sx.TensorSpec(("batch",), "int32"), sx.TensorSpec(("batch", UNITS))
    for search in (ops.greedy_search, ops.beam_search):
        graph = sx.trace(lambda t, h, search=search: search(language.step, t, {"h": h}, END, 5), *specs)
        operators = [node.op_type for node in to_onnx(graph).graph.node]
        assert operators.count("Loop") == 1 and "If" not in operators


def same(tokens, position, states):
    return ops.one_hot(tokens, 4), states


def shaped(*shape):
    return lambda tokens, position, states: (ops.zeros(shape), states)


ERRORS = [
    (lambda: ops.greedy_search(same, [0.0], (), 1, 3), TypeError, "integer start_tokens, got float32"),
    (lambda: ops.greedy_search(same, [[0]], (), 1, 3), ValueError, r"start_tokens of shape \(batch,\), got \(1, 1\)"),
    (lambda: ops.greedy_search(same, [0], (), 4, 3), ValueError, "end_token 4 is not in a vocabulary of 4"),
    (lambda: ops.greedy_search(shaped(1, 3, 4), [0], (), 1, 3), ValueError, "give the last step's"),
    (lambda: ops.greedy_search(lambda *_: 1, [0], (), 1, 3), ValueError, "two values, logits and states; got int"),
    (lambda: ops.beam_search(same, [0], (), 1, 3, beams=0), ValueError, "positive number of beams, got 0"),
    (lambda: ops.beam_search(same, [0], (), 1, 3, length_penalty=-1), ValueError, "length_penalty of 0 or more"),
    (lambda: ops.beam_search(shaped(4, 1), [0], (), 0, 3), ValueError, "vocabulary of 2 tokens or more, got 1"),
    (lambda: ops.beam_search(same, [0.0], (), 1, 3), TypeError, "beam_search: expected integer start_tokens"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS, ids=[str(i) for i in range(len(ERRORS))])
def test_errors_teach(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
