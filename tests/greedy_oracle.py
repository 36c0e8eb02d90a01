"""Greedy matching spelled out in plain Python: every rule once, no cleverness."""

from __future__ import annotations

import numpy as np

from homevisit_eval.matching.units import (
    IN_USE,
    MATCHED,
    NOT_ALLOWED,
    NOT_IN_STRATUM,
    OUTSIDE_CALIPER,
)


class Greedy:
    """One run; `matches` holds (distance, row) by focal row."""

    def __init__(self, units, ratio, max_uses, per_person, ties, person_uses=None):
        self.units, self.ties = units, ties
        self.n = len(units.focal)
        self.focal = [i for i in range(self.n) if units.focal[i]]
        self.room = dict(zip(self.focal, np.broadcast_to(ratio, len(self.focal)), strict=True))
        self.max_uses, self.per_person = max_uses, per_person
        self.uses = [0] * self.n
        self.person_uses = dict(enumerate(person_uses if person_uses is not None else []))
        self.matches = {i: [] for i in self.focal}
        along = units.score if units.coordinates is None else units.coordinates[:, 0]
        self.place = {}
        for stratum in set(units.stratum):
            rows = [i for i in range(self.n) if units.stratum[i] == stratum]
            for place, i in enumerate(sorted(rows, key=lambda i: along[i])):  # stable
                self.place[i] = place

    def distance(self, i, j):
        """Squared, in coordinates."""
        if self.units.coordinates is None:
            return abs(self.units.score[i] - self.units.score[j])
        total = 0.0
        for a, b in zip(self.units.coordinates[i], self.units.coordinates[j], strict=True):
            total += (a - b) * (a - b)
        return total

    def tie(self, i, j):
        if self.ties == "row":
            return j
        here, there = self.place[i], self.place[j]
        if self.units.coordinates is not None:  # the last found: most steps, then the right
            return (-abs(there - here), there < here)
        outermost = [self.place[m] for _, m in self.matches[i]]
        low, high = min([here, *outermost]), max([here, *outermost])
        return (low - there, 0) if there < here else (there - high, 1)

    def within(self, i, j):
        return all(
            abs(limit.values[i] - limit.values[j]) <= limit.width for limit in self.units.limits
        )

    def different(self, i, j):
        units = self.units
        apart = units.apart is None or all(units.apart[i] != units.apart[j])
        return apart and (units.person is None or units.person[i] != units.person[j])

    def usable(self, j):
        if self.max_uses and self.uses[j] >= self.max_uses:
            return False
        if not self.per_person:
            return True
        return self.person_uses.get(self.units.person[j], 0) < self.per_person

    def nearest(self, i):
        """All rows that may be the next match, nearest first."""
        units = self.units
        had = [m for _, m in self.matches[i]]
        rows = [
            (self.distance(i, j), self.tie(i, j), j)
            for j in range(self.n)
            if not units.focal[j]
            and units.stratum[j] == units.stratum[i]
            and j not in had
            and self.within(i, j)
            and self.different(i, j)
            and self.usable(j)
        ]
        return [(distance, j) for distance, _, j in sorted(rows)]

    def take(self, i, distance, j):
        self.matches[i].append((distance, j))
        self.uses[j] += 1
        if self.units.person is not None:
            person = self.units.person[j]
            self.person_uses[person] = self.person_uses.get(person, 0) + 1

    def turns(self, order, seed):
        units = self.units
        if order == "random":
            keys = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed]))).random(
                self.n
            )
            return sorted(self.focal, key=lambda i: keys[i])
        if order == "largest":
            return sorted(self.focal, key=lambda i: -units.score[i])
        if order == "smallest":
            return sorted(self.focal, key=lambda i: units.score[i])
        return self.focal

    def run(self, order, seed):
        turns = [i for i in self.turns(order, seed) if self.room[i] > 0]
        if not self.max_uses and not self.per_person:
            for i in turns:
                for distance, j in self.nearest(i)[: self.room[i]]:
                    self.take(i, distance, j)
            return
        rank = 0
        while turns:
            rank += 1
            if order in ("closest", "farthest"):
                self.by_distance(turns, 1 if order == "closest" else -1)
            else:
                for i in turns:
                    for distance, j in self.nearest(i)[:1]:
                        self.take(i, distance, j)
            turns = [i for i in turns if len(self.matches[i]) == rank < self.room[i]]

    def by_distance(self, turns, sign):
        """A list in order; who finds its row used looks again and goes where it belongs."""
        waiting = [(i, *self.nearest(i)[0]) for i in turns if self.nearest(i)]
        waiting.sort(key=lambda entry: sign * entry[1])  # stable
        while waiting:
            i, distance, j = waiting.pop(0)
            if self.usable(j):
                self.take(i, distance, j)
            elif self.nearest(i):
                distance, j = self.nearest(i)[0]
                waiting.insert(
                    self.position(waiting, i, sign * distance, turns, sign), (i, distance, j)
                )

    def position(self, waiting, i, distance, turns, sign):
        for at, (other, far, _) in enumerate(waiting):
            first = self.ties == "matchit" or turns.index(i) < turns.index(other)
            if sign * far > distance or (sign * far == distance and first):
                return at
        return len(waiting)

    def pairs(self):
        return [(i, rank + 1, j) for i in self.focal for rank, (_, j) in enumerate(self.matches[i])]

    def reasons(self):
        reasons = [0] * self.n
        for i in self.focal:
            there = [
                j
                for j in range(self.n)
                if not self.units.focal[j] and self.units.stratum[j] == self.units.stratum[i]
            ]
            near = [j for j in there if self.within(i, j)]
            if self.matches[i]:
                reasons[i] = MATCHED
            elif not there:
                reasons[i] = NOT_IN_STRATUM
            elif not near:
                reasons[i] = OUTSIDE_CALIPER
            else:
                allowed = any(self.different(i, j) for j in near)
                reasons[i] = IN_USE if allowed else NOT_ALLOWED
        return reasons
