"""Every value of every document that a real response carries is in the document that is stored of it."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlb_platform.ingestion.gate import Request, admit, gate_specs
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.settings import PROJECT_ROOT
from resources.raw_store import RawCapture


def at(value: Any, path: list[str]) -> Iterator[Any]:
    """Yield what lies at a path such as `$.a[*].b{*}`, split at its dots."""
    if not path:
        yield value
        return
    name = path[0].rstrip("[]{}*")
    value = value.get(name) if isinstance(value, dict) else None
    if path[0].endswith("[*]"):
        parts = value if isinstance(value, list) else []
    elif path[0].endswith("{*}"):
        parts = list(value.values()) if isinstance(value, dict) else []
    else:
        parts = [value]
    for part in parts:
        yield from at(part, path[1:])


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """Yield the path of every value that is not null, items of arrays alike."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(member, f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, f"{path}[]")
    elif value is not None:
        yield path


def test_no_leaf_of_a_carried_document_is_lost(captures: Path) -> None:
    """Whatever paths it is found at, and whichever of them comes first: all of its members are stored."""
    mappings = MappingRegistry(PROJECT_ROOT / "mapping_configs").mappings
    specs = gate_specs(mappings)
    by_table = {m.config.source.raw_table: m for m in mappings.values()}
    looked_at = 0
    with (captures / "INDEX.tsv").open(encoding="utf-8", newline="") as text:
        listed = [r for r in csv.DictReader(text, delimiter="\t") if f"{r['endpoint']}/{r['method']}" in specs]
    for row in listed:
        spec = specs[f"{row['endpoint']}/{row['method']}"]
        body = (captures / row["path"]).read_bytes()
        made = admit(body, Request(row["path"], datetime(2024, 1, 1, tzinfo=UTC), row["id"] or None), spec)
        if not isinstance(made, RawCapture):
            continue
        assert made.refused_parts == (), row["path"]
        document = json.loads(gzip.decompress(body))
        kept = {table: json.loads(part.data) for table, part in made.embedded}
        for embed in by_table[spec.raw_table].config.source.embeds:
            documents = kept.get(mappings[embed.into].config.source.raw_table, {}).get(embed.member, [])
            stored = {str(d[embed.key]): set(leaves(d)) for d in documents}
            for path in embed.from_paths:
                for carried in at(document, path.split(".")[1:]):
                    if carried:
                        missing = set(leaves(carried)) - stored[str(carried[embed.key])]
                        assert not missing, (row["path"], path, carried[embed.key], missing)
                        looked_at += 1
    assert looked_at > 10 * len(listed)
