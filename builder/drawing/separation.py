"""The nearest positions that keep their distances: minimise sum w (x - wanted)^2 with x[right] - x[left] >= gap.

The active-set method of Dwyer, Marriott and Stuckey, "Fast Node Overlap Removal" (Graph Drawing 2005): variables
whose distances are tight move together as a block; a block splits where a tight distance holds it back.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Constraint = tuple[int, int, float]

_TOLERANCE = 1e-6
_ROUNDS = 30


class Separation:
    """Variables 0 .. count - 1 with constraints (left, right, gap) that form no cycle; remembers its last solution."""

    def __init__(self, count: int, constraints: Sequence[Constraint], weights: Sequence[float]) -> None:
        self.constraints = list(constraints)
        self.lefts = np.array([left for left, _, _ in constraints], dtype=np.intp)
        self.rights = np.array([right for _, right, _ in constraints], dtype=np.intp)
        self.gaps = np.array([gap for _, _, gap in constraints], dtype=np.float64)
        self.weights = weights
        self.wanted = [0.0] * count
        self.position = [0.0] * count
        self.offset = [0.0] * count  # from the start of the variable's block
        self.block = list(range(count))
        self.members = {variable: [variable] for variable in range(count)}
        self.next_block = count
        self.tight: list[set[int]] = [set() for _ in range(count)]  # each variable's active constraints

    def project(self, wanted: Floats) -> Floats:
        """The positions nearest to ``wanted`` that satisfy all constraints."""
        self.wanted = wanted.tolist()
        for block in self.members:
            self._settle(block)
        for _ in range(_ROUNDS):
            split = self._split_blocks()
            merged = self._satisfy()
            if not split and not merged:
                break
        return np.array(self.position)

    def _settle(self, block: int) -> None:
        """Moves a block to the weighted mean of what its members want."""
        members = self.members[block]
        total = sum(self.weights[v] for v in members)
        start = sum(self.weights[v] * (self.wanted[v] - self.offset[v]) for v in members) / total
        for variable in members:
            self.position[variable] = start + self.offset[variable]

    def _satisfy(self) -> bool:
        """Merges blocks until no distance is too small; whether there was anything to do."""
        merged = False
        while True:
            place = np.array(self.position)
            slack = place[self.rights] - place[self.lefts] - self.gaps
            violated = np.flatnonzero(slack < -_TOLERANCE)
            if not len(violated):
                return merged
            merged = True
            for index in violated[np.argsort(slack[violated], kind="stable")].tolist():
                left, right, gap = self.constraints[index]
                if self.position[right] - self.position[left] - gap < -_TOLERANCE:
                    if self.block[left] == self.block[right]:
                        self._cut_between(left, right)
                    self._merge(index)

    def _merge(self, index: int) -> None:
        left, right, gap = self.constraints[index]
        keep, gone = self.block[left], self.block[right]
        shift = self.offset[left] + gap - self.offset[right]
        if len(self.members[keep]) < len(self.members[gone]):
            keep, gone, shift = gone, keep, -shift
        for variable in self.members[gone]:
            self.block[variable] = keep
            self.offset[variable] += shift
        self.members[keep].extend(self.members.pop(gone))
        self.tight[left].add(index)
        self.tight[right].add(index)
        self._settle(keep)

    def _walk(self, start: int) -> list[tuple[int, int, int]]:
        """(variable, the one before, constraint between) for all members of the block, from ``start`` outwards."""
        visited = [(start, -1, -1)]
        for variable, before, _ in visited:
            for index in sorted(self.tight[variable]):
                left, right, _ = self.constraints[index]
                other = right if left == variable else left
                if other != before:
                    visited.append((other, variable, index))
        return visited

    def _multipliers(self, start: int) -> dict[int, float]:
        """The force in each active constraint of the block; negative: it holds apart what wants to be further apart."""
        walk = self._walk(start)
        force = {v: 2 * self.weights[v] * (self.position[v] - self.wanted[v]) for v, _, _ in walk}
        multipliers: dict[int, float] = {}
        for variable, before, index in reversed(walk):
            if index >= 0:
                multipliers[index] = force[variable] if self.constraints[index][1] == variable else -force[variable]
                force[before] += force[variable]
        return multipliers

    def _split_blocks(self) -> bool:
        split = False
        for block in list(self.members):
            if len(self.members[block]) > 1:
                multipliers = self._multipliers(self.members[block][0])
                weakest = min(multipliers, key=lambda index: (multipliers[index], index))
                if multipliers[weakest] < -_TOLERANCE:
                    self._cut(weakest)
                    split = True
        return split

    def _cut_between(self, left: int, right: int) -> None:
        """Separates two members of one block, where the forward constraint between them bears the least."""
        multipliers = self._multipliers(left)
        before = {variable: (previous, index) for variable, previous, index in self._walk(left)}
        forward: list[int] = []
        variable = right
        while variable != left:
            previous, index = before[variable]
            if self.constraints[index][1] == variable:
                forward.append(index)
            variable = previous
        self._cut(min(forward, key=lambda index: (multipliers[index], index)))

    def _cut(self, index: int) -> None:
        left, right, _ = self.constraints[index]
        self.tight[left].discard(index)
        self.tight[right].discard(index)
        old = self.block[left]
        apart = [variable for variable, _, _ in self._walk(right)]
        stay = set(self.members[old]) - set(apart)
        self.members[old] = sorted(stay)
        name = self.next_block
        self.next_block += 1
        self.members[name] = apart
        for variable in apart:
            self.block[variable] = name
        self._settle(old)
        self._settle(name)
