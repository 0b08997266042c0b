"""Texts: on constants and eager values only."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ...trainer.core.tensor import Tensor
from ..protos import text_array
from .table import Call, operator
from .values import fixed


def _texts(call: Call, x: Any) -> np.ndarray:
    return fixed(call, x, "a text").astype(object)


@operator("StringConcat")
def concat(call: Call, x: Tensor, y: Tensor) -> Tensor:
    """Texts joined, element by element."""
    return Tensor(np.asarray(_texts(call, x) + _texts(call, y), object))


@operator("RegexFullMatch")
def full_match(call: Call, x: Tensor) -> Tensor:
    """Whether a pattern fits the whole text."""
    pattern = re.compile(call.get("pattern"))
    array = _texts(call, x)
    found = [pattern.fullmatch(text) is not None for text in array.reshape(-1)]
    return Tensor(np.asarray(found, bool).reshape(array.shape))


@operator("StringSplit")
def split(call: Call, x: Tensor) -> tuple[Tensor, Tensor]:
    """The parts of each text, filled up with empty ones, and how many there are."""
    array = _texts(call, x)
    delimiter, most = call.get("delimiter") or None, call.get("maxsplit", -1)
    parts = [text.split(delimiter, -1 if most is None else most) for text in array.reshape(-1)]
    counts = np.asarray([len(p) for p in parts], np.int64)
    width = int(counts.max()) if counts.size else 0
    flat = [text for p in parts for text in [*p, *[""] * (width - len(p))]]
    return Tensor(text_array(flat, (*array.shape, width))), Tensor(counts.reshape(array.shape))


@operator("StringNormalizer")
def normalize(call: Call, x: Tensor) -> Tensor:
    """Without stop words, in upper or lower case."""
    array = _texts(call, x)
    stops, exact = call.get("stopwords", []), call.get("is_case_sensitive", 0)
    dropped = set(stops) if exact else {word.lower() for word in stops}
    rows = array.reshape(1, -1) if array.ndim == 1 else array
    kept = [[t for t in row if (t if exact else t.lower()) not in dropped] for row in rows]
    change = {"LOWER": str.lower, "UPPER": str.upper}.get(call.get("case_change_action", "NONE"), str)
    width = max(len(row) for row in kept)
    if not width:
        kept, width = [[""] for _ in kept], 1
    flat = [change(t) for row in kept for t in [*row, *[""] * (width - len(row))]]
    return Tensor(text_array(flat, (width,) if array.ndim == 1 else (len(kept), width)))


@operator("TfIdfVectorizer")
def count_grams(call: Call, x: Tensor) -> Tensor:
    """How often known runs of tokens, with gaps, occur; plain counts, flags or weighted ones."""
    array = fixed(call, x, "the tokens")
    rows = array.reshape(1, -1) if array.ndim == 1 else array
    pool = call.get("pool_strings") or call.get("pool_int64s")
    starts, places = call.get("ngram_counts"), call.get("ngram_indexes")
    known = _grams(pool, starts)
    found = np.zeros((len(rows), max(places) + 1), np.float32)
    for row, tokens in enumerate(rows):
        for length in range(call.get("min_gram_length"), call.get("max_gram_length") + 1):
            for skip in range(call.get("max_skip_count") + 1) if length > 1 else (0,):
                reach = (length - 1) * (skip + 1)
                for start in range(len(tokens) - reach):
                    gram = tuple(tokens[start : start + reach + 1 : skip + 1].tolist())
                    if gram in known:
                        found[row, places[known[gram]]] += 1
    mode, weights = call.get("mode"), call.get("weights")
    if mode == "IDF":
        found = (found > 0).astype(np.float32)
    if mode != "TF" and weights:
        scale = np.ones(found.shape[1], np.float32)
        scale[places] = weights
        found = found * scale
    return Tensor(found[0] if array.ndim == 1 else found)


def _grams(pool: list[Any], starts: list[int]) -> dict[tuple[Any, ...], int]:
    """Each known run of tokens with its number; runs of length n stand in the pool from `starts[n - 1]` on."""
    known: dict[tuple[Any, ...], int] = {}
    for i, start in enumerate(starts):
        end = starts[i + 1] if i + 1 < len(starts) else len(pool)
        for place in range(start, end, i + 1):
            known[tuple(pool[place : place + i + 1])] = len(known)
    return known
