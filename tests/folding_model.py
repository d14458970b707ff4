"""A small mapping whose responses have several entities and tell only parts of them, and a model of how they fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

PARTS = """
version: "1.0"
source:
  endpoint: parts
  method: list
  raw_table: parts.list
  required: [things]
  entities: $.things
  entity_key: {name: thing_id, type: INT, json_path: $.id}
  merge_scope: {key: thing_id}
targets:
  - name: parts.things
    description: One row a thing.
    primary_key: [thing_id]
    array_source: $.things
    fields:
      - {name: label, type: VARCHAR(5), json_path: $.label, description: Label.}
      - {name: state, type: VARCHAR(5), json_path: $.state, description: State.}
      - {name: reason, type: VARCHAR(5), json_path: $.reason, cleared_by: state, description: Reason of the state.}
  - name: parts.pieces
    description: One row a piece of a thing.
    primary_key: [thing_id, piece]
    array_source: "$.things[*].pieces"
    fields:
      - {name: piece, type: INT, json_path: $.n, description: Number of the piece.}
      - {name: size, type: INT, json_path: $.size, description: Size.}
"""
THINGS = 3
"""Things of an example."""


@dataclass(frozen=True)
class Thing:
    """What one response tells of a thing: None is nothing."""

    number: int
    label: str | None
    state: str | None
    reason: str | None
    pieces: tuple[tuple[int, int | None], ...]

    def document(self, first: int) -> dict[str, Any]:
        """Return its JSON; what is not told is left out or null."""
        told = {"label": self.label, "state": self.state, "reason": self.reason}
        found: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
        if self.pieces:
            found["pieces"] = [{"n": n, "size": size} for n, size in self.pieces]
        return {"id": first + self.number, **found}


@dataclass(frozen=True)
class Answer:
    """A response at a minute."""

    minute: int
    things: tuple[Thing, ...]

    def document(self, first: int) -> dict[str, Any]:
        """Return its JSON; the things of an example are numbered from `first`."""
        return {"things": [t.document(first) for t in self.things]}


def _thing(number: int) -> st.SearchStrategy[Thing]:
    text = st.sampled_from([None, None, "a", "b", "c"])
    pieces = st.dictionaries(st.integers(1, 2), st.sampled_from([None, 1, 2]), max_size=2)
    return st.builds(Thing, st.just(number), text, text, text, pieces.map(lambda d: tuple(sorted(d.items()))))


answers = st.builds(
    Answer,
    minute=st.integers(0, 20),
    things=st.lists(st.integers(0, THINGS - 1), min_size=1, max_size=THINGS, unique=True).flatmap(
        lambda numbers: st.tuples(*(_thing(n) for n in numbers))
    ),
)


def folded(answers_by_age: Sequence[Answer], first: int) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return the rows of both tables that answers, oldest first, come to: later words over earlier ones, one by one."""
    things: dict[int, dict[str, Any]] = {}
    pieces: dict[tuple[int, int], int | None] = {}
    for answer in answers_by_age:
        for t in answer.things:
            row = things.setdefault(first + t.number, {"label": None, "state": None, "reason": None})
            row["label"] = row["label"] if t.label is None else t.label
            if t.reason is not None or t.state is not None:
                row["reason"] = t.reason
            row["state"] = row["state"] if t.state is None else t.state
            for n, size in t.pieces:
                before = pieces.get((first + t.number, n))
                pieces[first + t.number, n] = before if size is None else size
    return (
        sorted((pk, r["label"], r["state"], r["reason"]) for pk, r in things.items()),
        sorted((pk, n, size) for (pk, n), size in pieces.items()),
    )
