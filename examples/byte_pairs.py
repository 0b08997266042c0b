"""Byte-pair encoding (Sennrich, Haddow and Birch 2016), small: frequent neighbours become one token."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

CHUNK = re.compile(r" ?[A-Za-z]+| ?[0-9]+|\s+(?= )|\s+| ?[^\sA-Za-z0-9]+")


class BytePairs:
    """Tokens learnt from a text: its characters, and `size` less those many joined pairs."""

    def __init__(self, text: str, size: int) -> None:
        self.tokens = sorted(set(text))
        self.merges: dict[tuple[str, str], int] = {}
        words = {tuple(chunk): count for chunk, count in Counter(CHUNK.findall(text)).items()}
        pairs: Counter[tuple[str, str]] = Counter()
        for word, count in words.items():
            for pair in pairwise(word):
                pairs[pair] += count
        while len(self.tokens) < size:
            best = max(pairs, key=lambda pair: (pairs[pair], pair))
            self.merges[best] = len(self.merges)
            self.tokens.append("".join(best))
            words = self._merge(words, pairs, best)
        self.number = {token: i for i, token in enumerate(self.tokens)}
        self._known: dict[str, list[int]] = {}

    @staticmethod
    def _merge(words: dict[tuple[str, ...], int], pairs: Counter, best: tuple[str, str]) -> dict[tuple[str, ...], int]:
        """The words with a pair joined; counts of pairs are brought up to date."""
        merged = {}
        for word, count in words.items():
            new = word
            if best[0] in word and best[1] in word and (new := join(word, best)) != word:
                for pair in pairwise(word):
                    pairs[pair] -= count
                for pair in pairwise(new):
                    pairs[pair] += count
            merged[new] = count
        return merged

    def encode(self, text: str) -> list[int]:
        """Numbers of the tokens of a text. Raises `KeyError` for a character that the learnt text did not have."""
        found: list[int] = []
        for chunk in CHUNK.findall(text):
            if chunk not in self._known:
                word = tuple(chunk)
                while len(word) > 1:
                    ranks = {pair: self.merges.get(pair, len(self.merges)) for pair in pairwise(word)}
                    best = min(ranks, key=lambda pair: ranks[pair])
                    if best not in self.merges:
                        break
                    word = join(word, best)
                self._known[chunk] = [self.number[token] for token in word]
            found += self._known[chunk]
        return found

    def decode(self, numbers: list[int]) -> str:
        """The text of tokens."""
        return "".join(self.tokens[i] for i in numbers)


def join(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    """A word with every occurrence of a pair as one token."""
    out: list[str] = []
    for token in word:
        if out and (out[-1], token) == pair:
            out[-1] += token
        else:
            out.append(token)
    return tuple(out)
