"""What a changed mapping means for those who read its tables: column by column, and by Avro's rules.

A change is breaking when those who have or read a table cannot just go on with it:

- not backward-compatible: rows written with the released schema are not readable with the new one;
- another key: what was one row is now several, or the reverse;
- the table is gone;
- a sink refuses it, because values it has would be lost (told by `resources`; see `quality.sink_changes`).

A breaking change needs the next major version of its mapping. What breaks only forward (old readers, new rows) is told
and needs none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mlb_platform.mapping.avro import AvroSchema
from mlb_platform.mapping.avro_compatibility import Incompatibility, check_compatibility

Kind = Literal["new", "removed", "changed", "same"]


@dataclass(frozen=True)
class ContractColumn:
    """A column as a schema of ours tells it."""

    name: str
    sql_type: str
    nullable: bool
    description: str = ""

    def __str__(self) -> str:
        return self.sql_type + ("" if self.nullable else " NOT NULL")


@dataclass(frozen=True)
class ColumnChange:
    """A column that came, went or changed; `avro` are the rules this breaks, by direction."""

    name: str
    old: ContractColumn | None
    new: ContractColumn | None
    avro: tuple[Incompatibility, ...] = ()

    @property
    def only_described(self) -> bool:
        """Whether nothing but the description changed."""
        return self.old is not None and self.new is not None and str(self.old) == str(self.new)

    def __str__(self) -> str:
        if self.old is None:
            return f"{self.name}: added, {self.new}"
        if self.new is None:
            return f"{self.name}: removed, was {self.old}"
        return f"{self.name}: " + ("described anew" if self.only_described else f"{self.old} → {self.new}")


@dataclass(frozen=True)
class TableDiff:
    """What happened to one table since its schema was released; `refused` is what the sinks say no to."""

    table: str
    kind: Kind
    old: AvroSchema | None
    new: AvroSchema | None
    columns: tuple[ColumnChange, ...] = ()
    avro: tuple[Incompatibility, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def mapping(self) -> str:
        """The mapping that has the table, or had it."""
        return str((self.new or self.old or {}).get("mapping", ""))

    @property
    def versions(self) -> tuple[str, str]:
        """The released version of the mapping and the one it has now; empty where there is none."""
        return str((self.old or {}).get("mappingVersion", "")), str((self.new or {}).get("mappingVersion", ""))

    @property
    def derived_anew(self) -> bool:
        """Whether rows come about in another way, so that the next run derives all of them again."""
        return self.kind == "changed" and self._changed("derivationHash")

    def _changed(self, name: str) -> bool:
        return (self.old or {}).get(name) != (self.new or {}).get(name)

    @property
    def breaking(self) -> list[str]:
        """Why the change is breaking; empty when it is not."""
        if self.kind == "removed":
            return ["the table is no longer in any mapping"]
        if self.kind != "changed" or self.old is None or self.new is None:
            return []
        reasons = [str(b) for b in self.avro if b.direction == "backward"]
        if set(self.old["primaryKey"]) != set(self.new["primaryKey"]):
            before, after = (", ".join(s["primaryKey"]) for s in (self.old, self.new))
            reasons.append(f"the key was ({before}) and is ({after})")
        return [*reasons, *(r for r in self.refused if r not in reasons)]

    @property
    def notes(self) -> list[str]:
        """What else changed about the table as a whole."""
        if self.kind != "changed" or self.old is None or self.new is None:
            return []
        words = {"partitionBy": "partition column", "mergeScope": "merge scope", "snapshot": "snapshot"}
        words |= {"doc": "description", "mapping": "mapping"}
        told = [
            f"{word}: {self.old.get(name)} → {self.new.get(name)}"
            for name, word in words.items()
            if self._changed(name)
        ]
        return told + [
            f"renamed? {a.name} went and {b.name} came with the same type: Avro matches fields by name, so readers "
            f"find no {b.name} in rows written before; old values stay in {a.name}"
            for a, b in self.renamed
        ]

    @property
    def renamed(self) -> list[tuple[ColumnChange, ColumnChange]]:
        """Columns that went with those that came in their place, as far as one of the same type did."""
        gone = [c for c in self.columns if c.new is None]
        came = [c for c in self.columns if c.old is None]
        return [(a, b) for a, b in zip(gone, came, strict=False) if str(a.old) == str(b.new)]


def contract_columns(schema: AvroSchema | None) -> dict[str, ContractColumn]:
    """Return the columns of a schema that `generate_avro_schema` made; none for None."""
    found = {}
    for f in (schema or {"fields": []})["fields"]:
        nullable = isinstance(f["type"], list) and "null" in f["type"]
        found[f["name"]] = ContractColumn(f["name"], f["sqlType"], nullable, f.get("doc", ""))
    return found


def diff_table(table: str, old: AvroSchema | None, new: AvroSchema | None) -> TableDiff:
    """Compare the released schema of a table with the one it has now; None is a table that is not there."""
    if old is None or new is None:
        return TableDiff(table, "new" if old is None else "removed", old, new)
    broken = tuple(check_compatibility(old, new, "full"))
    before, after = contract_columns(old), contract_columns(new)
    columns = tuple(
        ColumnChange(name, before.get(name), after.get(name), tuple(b for b in broken if b.path == name))
        for name in dict.fromkeys([*after, *before])
        if before.get(name) != after.get(name)
    )
    without_version = [{k: v for k, v in s.items() if k != "mappingVersion"} for s in (old, new)]
    same = not columns and without_version[0] == without_version[1]
    return TableDiff(table, "same" if same else "changed", old, new, columns, broken)


def diff_schemas(old: Mapping[str, AvroSchema], new: Mapping[str, AvroSchema]) -> list[TableDiff]:
    """Compare released schemas with those of now, table by table, in the order of now; removed ones last."""
    return [diff_table(t, old.get(t), new.get(t)) for t in dict.fromkeys([*new, *old])]


def parse_version(text: str) -> tuple[int, int]:
    """Return major and minor of a mapping's version; raise ValueError for one that is not `major.minor`."""
    found = re.fullmatch(r"(\d+)\.(\d+)", text)
    if not found:
        raise ValueError(f"version {text!r} is not major.minor, such as 1.0")
    return int(found[1]), int(found[2])


def find_version_problems(diffs: Iterable[TableDiff], current: Mapping[str, str]) -> list[str]:
    """Return what the versions do not allow, one line a table; `current` are the versions of the mappings there are.

    A breaking change needs a greater major version than the released one, and no version goes back.
    """
    problems = []
    for d in diffs:
        old, new = d.versions
        if d.kind == "removed":
            new = current.get(d.mapping, "")
        try:
            before, after = (parse_version(v) if v else None for v in (old, new))
        except ValueError as error:
            problems.append(f"{d.table} of mapping {d.mapping}: {error}")
            continue
        if before and after and after < before:
            problems.append(f"{d.table}: version {new} of mapping {d.mapping} is older than the released {old}")
        elif d.breaking and before and (after is None or after[0] <= before[0]):
            problems.append(f"{d.table}: {'; '.join(d.breaking)}: {_remedy(d.mapping, before, new)}")
    return problems


def _remedy(mapping: str, released: tuple[int, int], now: str) -> str:
    if not now:
        return f"mapping {mapping} is gone: put it back, or run `mlb mapping release --removed {mapping}`"
    return f'take it back, or give mapping {mapping} version: "{released[0] + 1}.0" (it is {now})'


def to_json(diff: TableDiff) -> dict[str, Any]:
    """Return a diff as plain JSON values, without the schemas."""
    return {
        "table": diff.table,
        "mapping": diff.mapping,
        "kind": diff.kind,
        "versions": list(diff.versions),
        "columns": [{"column": c.name, "change": str(c), "avro": [str(b) for b in c.avro]} for c in diff.columns],
        "breaking": diff.breaking,
        "notes": diff.notes,
        "derived_anew": diff.derived_anew,
    }
