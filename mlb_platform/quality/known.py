"""What the source itself leaves open: a data file with a reason for each, so that a new one is a finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlb_platform.mapping.loader import LOADER
from mlb_platform.mapping.resolve import ResolvedMapping
from resources.errors import PlatformError

ORPHANS = "known/orphans.yaml"


@dataclass(frozen=True)
class KnownOrphan:
    """Values of columns of one entity that name no row of `to_table`, and why."""

    table: str
    columns: list[str]
    to_table: str
    entity: str
    values: list[str]
    reason: str


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tables: list[str] = Field(min_length=1)
    columns: list[str] = Field(min_length=1)
    to_table: str
    entity: str
    values: list[str] = Field(min_length=1)
    reason: str = Field(min_length=10)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    orphans: list[_Entry] = Field(default_factory=list)


def stray_entries(known: Sequence[KnownOrphan], mappings: Mapping[str, ResolvedMapping]) -> list[str]:
    """Return what entries name that no mapping has: a table, or a relationship of it."""
    targets = {t.name: t for m in mappings.values() for t in m.targets}
    found = []
    for k in known:
        what = f"{k.table}({', '.join(k.columns)}) -> {k.to_table}"
        if k.table not in targets:
            found.append(f"known orphan of {k.entity}: no mapping makes the table {k.table}")
        elif not any(r.to_table == k.to_table and r.from_fields == k.columns for r in targets[k.table].relationships):
            found.append(f"known orphan of {k.entity}: there is no relationship {what}")
    return found


def known_orphans(mappings: Path) -> Sequence[KnownOrphan]:
    """Read the known orphans of a folder of mappings; raise PlatformError that names file and entry."""
    path = mappings / ORPHANS
    if not path.is_file():
        return []
    try:
        entries = _File.model_validate(yaml.load(path.read_text("utf-8"), Loader=LOADER) or {}).orphans
    except (yaml.YAMLError, ValidationError) as error:
        raise PlatformError(f"{path}: {' '.join(str(error).split())[:300]}") from error
    return [
        KnownOrphan(table, e.columns, e.to_table, e.entity, e.values, e.reason) for e in entries for table in e.tables
    ]
