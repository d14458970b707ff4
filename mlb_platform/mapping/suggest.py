"""A mapping proposed for payloads that have none: YAML that loads, and that people then name and prune."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from mlb_platform.mapping.paths import ITEMS, MEMBERS, render_steps
from mlb_platform.mapping.profile import PathNode
from mlb_platform.mapping.shape import Steps
from mlb_platform.mapping.suggest_keys import KeyPart, rank, value_at
from mlb_platform.mapping.suggest_tree import Draft, TableDraft, draft
from mlb_platform.mapping.suggest_values import LONGEST, OWN_COLUMNS, column_name, free_name, singular, snake, type_of

_DATES = ("officialDate", "gameDate", "originalDate", "date")
_HEADER = """\
# A proposal made from {count} by `mlb mapping suggest`; read it before use.
# - Types and keys are those of these payloads: others may hold longer texts, fractions or repeats.
# - Say `merge_scope: {{key: {entity}, snapshot: true}}` under source where a response always holds all of its rows.
# - Tables, columns and descriptions are named after the JSON: name them after what they mean.
"""


class _Flow(dict[str, Any]):
    """An object written on one line."""


class _Dumper(yaml.SafeDumper):
    """Writes columns on a line each and lists of names in brackets."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


_Dumper.add_representer(
    _Flow, lambda d, value: d.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style=True)
)
_Dumper.add_representer(
    tuple, lambda d, value: d.represent_sequence("tag:yaml.org,2002:seq", list(value), flow_style=True)
)


class _Writer:
    """Turns a draft into the plain values of a mapping file."""

    def __init__(self, documents: Sequence[Any], found: Draft, endpoint: str, method: str) -> None:
        self.documents, self.found = documents, found
        self.endpoint, self.method = endpoint, method
        self.schema, self.prefix = snake(endpoint)[:LONGEST], snake(method)[:30]
        self.names = self._table_names()
        # an inherited column must not be called like a member of an element: that would be taken for it
        self.members = {s[0] for t in found.tables if t.steps for s in (*t.scalars, *t.parts) if s}
        self.entity_path = self._entity_path()
        name = "_".join(map(snake, self.entity_path)) if self.entity_path else "request_id"
        name = f"{self.schema}_id" if name in ("id", "pk") else name
        self.entity = free_name(name, {*self.members, *OWN_COLUMNS})
        self.date_paths = self._date_paths()
        self.partition = (
            free_name(snake(self.date_paths[0][-1]), {*self.members, self.entity}) if self.date_paths else ""
        )

    def _entity_path(self) -> Steps | None:
        """Return the member of the document that is its id: present in all, and the most like one."""
        found = [s for s in self.found.tables[0].scalars if len(s) == 1 and (rank(s) or 0) < 10 and rank(s) is not None]
        usable = [s for s in found if all(type(d.get(s[0])) in (int, str) for d in self.documents)]
        order = {"gamePk": 0, "id": 1}
        return min(usable, key=lambda s: (order.get(s[0], 2), s[0]), default=None)

    def _date_paths(self) -> list[Steps]:
        """Return the member of the document that is its date, by its name and its values."""
        scalars = self.found.tables[0].scalars
        for name in _DATES:
            for steps in sorted((s for s in scalars if s[-1] == name), key=len):
                values = [value_at(d, steps) for d in self.documents]
                if None not in values and type_of(values) == "DATE":
                    return [steps]
        return []

    def _table_names(self) -> dict[Steps, str]:
        """Return a name for each table: the last words of its path that no other table has."""
        words = {t.steps: [snake(s) for s in t.steps if s not in (ITEMS, MEMBERS)] for t in self.found.tables}
        names: dict[Steps, str] = {}
        taken = {f"{self.prefix}_raw"}
        for steps, path in words.items():
            for n in range(1, len(path) + 1):
                tail = path[-n:]
                if n == len(path) or sum(p[-n:] == tail for p in words.values()) == 1:
                    break
            else:
                tail = []
            name = free_name("_".join([self.prefix, *tail])[: LONGEST - 3].strip("_"), taken)
            taken.add(name)
            names[steps] = f"{self.schema}.{name}"
        return names

    def mapping(self) -> dict[str, Any]:
        """Return the mapping file."""
        entity: dict[str, Any] = {"name": self.entity, "type": "VARCHAR(100)"}
        if self.entity_path:
            kind = type_of(d[self.entity_path[0]] for d in self.documents)
            entity["type"] = "BIGINT" if kind == "INT" else kind
            entity["json_path"] = render_steps(self.entity_path)
            entity["description"] = "Identifier of what a response is about."
        else:
            entity["description"] = "Identifier of what was asked for, from the request."
        raw = f"{self.schema}.{self.prefix}_raw"
        source: dict[str, Any] = {"endpoint": self.endpoint, "method": self.method, "raw_table": raw}
        source["entity_key"] = _Flow(entity)
        if self.date_paths:
            paths = [render_steps(s) for s in self.date_paths]
            text = "Date of what a response is about."
            source["partition"] = _Flow(name=self.partition, type="DATE", json_path=paths[0], description=text)
        targets = [t for table in self.found.tables if (t := self._target(table))]
        result: dict[str, Any] = {"version": "1.0", "source": source}
        if self.found.ignored:
            result["ignore_paths"] = [_Flow(path=render_steps(s), reason=r) for s, r in self.found.ignored]
        return {**result, "targets": targets}

    def _target(self, table: TableDraft) -> dict[str, Any] | None:
        row = singular(snake(_noun(table))) if table.steps else self.schema
        taken = {self.entity, self.partition}
        fields: list[_Flow] = []
        named: dict[tuple[Steps, int, str | None], str] = {}
        for part in table.keys.own:
            named[part.steps, part.level, part.place] = self._key_field(table, part, row, taken, fields)
        for steps in [*table.scalars, *table.parts]:
            if (steps, 0, None) in named or (not table.steps and steps in (self.entity_path, *self.date_paths)):
                continue
            name = "value" if not steps else column_name(steps, row, taken)
            name = free_name(name, taken)
            taken.add(name)
            kind = "JSONB" if steps in table.parts else type_of(value_at(r.chain[-1], steps) for r in table.rows)
            fields.append(_field(name, kind, render_steps(steps), row))
        if not table.steps:
            if not fields and not self.entity_path:
                return None
            if self.entity_path:
                kind = type_of(d[self.entity_path[0]] for d in self.documents)
                kind = "BIGINT" if kind == "INT" else kind
                fields.insert(0, _field(self.entity, kind, render_steps(self.entity_path), row))
        target: dict[str, Any] = {"name": self.names[table.steps], "description": self._description(table, row)}
        if self.date_paths:
            target["partition_by"] = self.partition
        target["primary_key"] = (self.entity, *named.values())
        if table.steps:
            target["object_source" if table.keyed else "array_source"] = render_steps(table.steps[:-1])
        target["fields"] = fields
        return target

    def _key_field(self, table: TableDraft, part: KeyPart, row: str, taken: set[str], fields: list[_Flow]) -> str:
        """Add the column of a part of the key and return its name."""
        holder: TableDraft | None = table
        for _ in range(part.level):
            holder = holder.above if holder is not None else None
        values = (value_at(r.chain[-1 - part.level], part.steps) for r in table.rows)
        if part.place == "$position":
            name, kind, path = f"{row}_index", "INT", "$position"
        elif part.place == "$key":
            name, kind, path = f"{row}_key", "VARCHAR(100)", "$key"
        else:
            owner = singular(snake(_noun(holder))) if holder is not None and holder.steps else row
            steps = part.steps or ("value",)
            name, kind = column_name(steps, owner, ()), type_of(values)
            path = render_steps(part.steps, ".".join(["parent"] * part.level) or "$")
        name = free_name(name[: LONGEST - 3], taken)
        taken.add(name)
        fields.append(_field(name, kind, path, row))
        return name

    def _description(self, table: TableDraft, row: str) -> str:
        noun = row.replace("_", " ")
        if not table.steps:
            return f"One row a response of {self.endpoint}/{self.method}."
        return f"One row a {noun}, from {render_steps(table.steps)}."


def _noun(table: TableDraft) -> str:
    """Return what the JSON calls the rows of a table."""
    return next(s for s in reversed(table.steps) if s not in (ITEMS, MEMBERS))


def _field(name: str, kind: str, path: str, row: str) -> _Flow:
    words = name.replace("_", " ")
    text = f"{words[0].upper()}{words[1:]} of the {row.replace('_', ' ')}."
    return _Flow(name=name, type=kind, json_path=path, description=text)


def suggest(documents: Sequence[Any], endpoint: str, method: str) -> str:
    """Return the YAML text of a mapping for payloads of one kind; raises ValueError for what is no JSON object.

    Arrays and objects keyed by id become tables of their own, nested ones too; what lies beside them is columns.
    Values of several kinds, members whose names no path can write, and nested arrays whose enclosing rows have no key
    to refer to become JSONB columns. What is null or empty everywhere is listed under ignore_paths. So every leaf path
    of the payloads is covered, names aside that no path can write in the document itself: a comment lists those.
    """
    if not documents or not all(isinstance(d, dict) for d in documents):
        raise ValueError("a payload has to be a JSON object")
    root = PathNode()
    for n, document in enumerate(documents):
        root.add(document, str(n))
    found = draft(documents, root)
    writer = _Writer(documents, found, endpoint, method)
    made = writer.mapping()
    if not made["targets"]:
        raise ValueError("there are no values in it")
    count = "one payload" if len(documents) == 1 else f"{len(documents)} payloads"
    text = _HEADER.format(count=count, entity=writer.entity)
    if found.left_out:
        text += f"# - Not mapped, because no path can name them: {', '.join(map(repr, found.left_out))}\n"
    return text + yaml.dump(made, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=200)
