"""Reference pages of the mappings: what each endpoint's tables hold and where every value comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from mlb_platform.mapping.models import FieldDefinition, Relationship
from mlb_platform.mapping.paths import render_steps
from mlb_platform.mapping.reference_text import (
    anchor_of,
    any_of,
    code,
    lookup_words,
    order_words,
    rows_from,
    rule_row,
    table,
)
from mlb_platform.mapping.resolve import Column, ResolvedMapping, ResolvedTarget, path_list
from mlb_platform.mapping.shape import column_paths

INDEX = "index.md"
MARK = "<!-- Made from the mappings by `mlb mapping docs`: change those, not this page. -->"
MANY_PATHS = 4
"""Of so many paths a column names the first ones and how many there are."""


class OpenEnd(Protocol):
    """Values of one entity that name no row, which the source itself leaves open."""

    @property
    def table(self) -> str: ...  # noqa: D102
    @property
    def columns(self) -> list[str]: ...  # noqa: D102
    @property
    def to_table(self) -> str: ...  # noqa: D102
    @property
    def entity(self) -> str: ...  # noqa: D102
    @property
    def values(self) -> list[str]: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102


def reference_pages(mappings: Mapping[str, ResolvedMapping], known: Sequence[OpenEnd] = ()) -> dict[str, str]:
    """Return the text of every page by its path in the folder of the reference: an index and a page a mapping.

    `known` are orphans with a reason; they stand with the relationships they are of.
    """
    ordered = [mappings[name] for name in sorted(mappings)]
    owners = {t.name: m for m in ordered for t in m.targets} | {v.name: m for m in ordered for v in m.config.views}
    pages = {INDEX: _joined(_index(ordered))}
    pages |= {page_of(m): _joined(_page(m, owners, known)) for m in ordered}
    return pages


def page_of(mapping: ResolvedMapping) -> str:
    """Return the path of a mapping's page."""
    return f"{mapping.name}.md"


def stale_pages(folder: Path, pages: Mapping[str, str]) -> list[str]:
    """Return the pages that are missing, differ, or are of a mapping there is no longer."""
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*.md")} if folder.is_dir() else {}
    wrong = [n for n, text in pages.items() if n not in found or found[n].read_text("utf-8") != text]
    return sorted([*wrong, *(found.keys() - pages.keys())])


def write_pages(folder: Path, pages: Mapping[str, str]) -> list[str]:
    """Write the pages that are not up to date, remove those of no mapping; return their paths."""
    stale = stale_pages(folder, pages)
    for name in stale:
        path = folder / name
        if name in pages:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(pages[name], "utf-8")
        else:
            path.unlink()
    return stale


def _paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text; YAML folds the empty line between two into the end of a line."""
    return [part.strip() for part in text.split("\n") if part.strip()]


def _joined(blocks: Iterable[str]) -> str:
    return "\n\n".join(blocks) + "\n"


def _index(mappings: Sequence[ResolvedMapping]) -> Iterator[str]:
    yield MARK
    yield "# Tables by endpoint"
    tables = sum(len(m.targets) for m in mappings)
    yield (
        f"{len(mappings)} mappings make {tables} tables and {sum(len(m.config.views) for m in mappings)} views. Each "
        "table is in PostgreSQL and in the lake under the same name, with the same columns."
    )
    rows = []
    for m in mappings:
        about = (_paragraphs(m.config.description) or [""])[0]
        rows.append((f"[{m.name}]({page_of(m)})", str(len(m.targets)), code(m.config.source.raw_table), about))
    yield table(("mapping", "tables", "raw table", "what it is"), rows)
    yield "## Every table"
    listed = []
    for m in mappings:
        listed += [
            (f"[{t.name}]({page_of(m)}#{anchor_of(t.name)})", ", ".join(t.key), t.config.description) for t in m.targets
        ]
        listed += [
            (f"[{v.name}]({page_of(m)}#{anchor_of(v.name)}) (view)", ", ".join(v.key), v.description)
            for v in m.config.views
        ]
    yield table(("table", "key", "rows"), listed)


def _page(mapping: ResolvedMapping, owners: Mapping[str, ResolvedMapping], known: Sequence[OpenEnd]) -> Iterator[str]:
    config, paths = mapping.config, column_paths(mapping)
    yield MARK
    yield f"# {mapping.name}"
    yield from _paragraphs(config.description)
    yield table(("", ""), list(_facts(mapping, owners)))
    yield "**Tables:** " + ", ".join(
        f"[{name}](#{anchor_of(name)})"
        for name in (*(t.name for t in mapping.targets), *(v.name for v in config.views))
    )
    for target in mapping.targets:
        yield from _target(mapping, target, paths, owners, [k for k in known if k.table == target.name])
    for view in config.views:
        yield f"## {view.name}"
        yield f"{view.description}"
        yield table(
            ("", ""),
            [
                ("a view of", f"[{view.table}](#{anchor_of(view.table)}), with all its columns"),
                ("one row a", ", ".join(code(k) for k in view.key)),
                ("the first by", ", ".join(order_words(c) for c in view.order_by)),
            ],
        )
    if config.ignore_paths:
        yield "## Paths that no column takes"
        rows = []
        for ignored in config.ignore_paths:
            kind = f"copy of `{ignored.copy_of}`" if ignored.copy_of else "statistics" if ignored.statistics else ""
            rows.append((code(ignored.path), kind, ignored.reason))
        yield table(("path", "kind", "reason"), rows)


def _facts(mapping: ResolvedMapping, owners: Mapping[str, ResolvedMapping]) -> Iterator[tuple[str, str]]:
    source = mapping.config.source
    methods = ", ".join(code(f"{source.endpoint}/{method}") for method in (source.method, *source.also))
    yield "responses of", methods
    yield "raw table", code(source.raw_table)
    if source.required:
        yield "every response has", ", ".join(code(name) for name in source.required)
    key, day = mapping.entity_key, mapping.partition
    if source.entities is not None:
        yield "entities", f"each element of {code(source.entities)}: a response can have several"
    yield "entity", f"{code(key.name)} {key.type}, {_from_where(mapping, key.template)}. {key.description}".strip()
    if day is None:
        yield "partition", "none: the tables have no date"
    else:
        where = (
            f"from {any_of(path_list(day))}" if path_list(day) else "of the request, else the day of the capture (UTC)"
        )
        if source.dated_by is not None:
            where = f"what other responses say of this {code(source.dated_by)}; until one does, the capture waits"
        yield "partition", f"{code(day.name)} {day.type}, {where}. {day.description}".strip()
    scopes = {(t.scope, t.snapshot, t.folds) for t in mapping.targets}
    if len(scopes) == 1:
        yield "merge", _merge(mapping.targets[0])
    if source.final_when is not None:
        yield "over", f"when {code(source.final_when)}: what changes after that is a correction"
    for told in source.dates:
        dates = [told.date] if isinstance(told.date, str) else told.date
        yield "tells dates of", f"{code(told.of)}: {any_of(dates)} of each element of {code(told.array_source)}"
    for embed in source.embeds:
        page = next((m for m in owners.values() if m.name == embed.into), None)
        name = _link(mapping, page, embed.into) if page is not None else code(embed.into)
        found = ", ".join(code(p) for p in embed.from_paths[:MANY_PATHS])
        more = len(embed.from_paths) - MANY_PATHS
        yield "carries documents of", f"{name}, at {found}" + (f" and {more} more paths" if more > 0 else "")


def _from_where(mapping: ResolvedMapping, template: str | None) -> str:
    if template is not None:
        return f"made as {code(template)}"
    paths = path_list(mapping.entity_key)
    return f"from {any_of(paths)}" if paths else "that of the request"


def _merge(target: ResolvedTarget) -> str:
    if target.snapshot:
        how = "the newest good capture is complete: rows it lacks are deleted"
    elif target.folds:
        how = "every good capture counts: the newest that tells a value wins, rows are never deleted"
    else:
        how = "the newest good capture updates and inserts; rows it lacks stay"
    return f"by {code(target.scope)}: {how}"


def _target(
    mapping: ResolvedMapping,
    target: ResolvedTarget,
    paths: Mapping[tuple[str, str], list[tuple[str, ...]]],
    owners: Mapping[str, ResolvedMapping],
    known: Sequence[OpenEnd],
) -> Iterator[str]:
    yield f"## {target.name}"
    yield target.config.description or f"Table {target.name}."
    facts = [("key", ", ".join(code(k) for k in target.key)), ("partition", code(target.partition or "none"))]
    facts += [("rows from", rows_from(source)) for source in target.config.row_sources]
    if target.config.filter:
        facts.append(("only where", code(target.config.filter)))
    facts += [(f"look-up `{name}`", lookup_words(spec)) for name, spec in target.config.lookups.items()]
    scopes = {(t.scope, t.snapshot, t.folds) for t in mapping.targets}
    if len(scopes) > 1:
        facts.append(("merge", _merge(target)))
    yield table(("", ""), facts)
    columns = [_column_row(mapping, target, c, paths.get((target.name, c.name), [])) for c in target.columns]
    yield table(("column", "type", "null", "description", "from"), columns)
    if target.relationships:
        yield "Relationships, each checked:"
        yield table(
            ("columns", "names a row of", "kind"), [_relationship(mapping, r, owners) for r in target.relationships]
        )
    if known:
        yield "Rows that name no row, which the source itself leaves open:"
        rows = [
            (k.entity, ", ".join(code(c) for c in k.columns), ", ".join(k.values), code(k.to_table), k.reason)
            for k in known
        ]
        yield table((target.scope, "columns", "values", "no row of", "why"), rows)
    if target.config.indexes:
        yield "Indexes in PostgreSQL, besides the key's:"
        yield table(
            ("columns", "kind"),
            [
                (", ".join(code(c) for c in i.columns), i.type + (", unique" if i.unique else ""))
                for i in target.config.indexes
            ],
        )
    yield "Rules:"
    yield table(("rule", "severity", "holds when", "why"), [rule_row(r) for r in target.rules])


def _column_row(
    mapping: ResolvedMapping, target: ResolvedTarget, column: Column, found: Sequence[tuple[str, ...]]
) -> tuple[str, ...]:
    name = f"**{code(column.name)}**" if column.name in target.key else code(column.name)
    f = column.field
    notes = []
    if f is not None and f.default is not None:
        notes.append(f"{f.default} where there is none.")
    if f is not None and f.cleared_by is not None:
        notes.append(f"Empty where a newer response has `{f.cleared_by}` without it.")
    description = " ".join([column.description, *notes]).strip()
    return name, str(column.type), "yes" if column.nullable else "no", description, _origin(mapping, column, f, found)


def _origin(
    mapping: ResolvedMapping, column: Column, f: FieldDefinition | None, found: Sequence[tuple[str, ...]]
) -> str:
    if found:
        listed = [code(render_steps(steps)) for steps in found[:MANY_PATHS]]
        more = len(found) - MANY_PATHS
        text = ", ".join(listed) + (f" and {more} more" if more > 0 else "")
        if f is not None and f.element is not None:
            where = f" where {code(f.element.filter)}" if f.element.filter else ""
            text += f", of the {f.element.pick} element{where}"
        return text
    if f is not None and f.source_field is not None:
        return f"{code(f.source_field)} of the raw row"
    if f is not None and f.expression is not None:
        return code(f.expression)
    if f is not None and f.constant is not None:
        named = any(str(f.constant) in s.constants for t in mapping.targets for s in t.config.row_sources)
        return f"the source's {code(str(f.constant))}" if named else code(str(f.constant))
    if f is not None and f.paths:
        return ", ".join(code(p) for p in f.paths)
    return {"entity": "the entity", "partition": "the entity's date"}.get(column.origin, "the run")


def _relationship(
    mapping: ResolvedMapping, r: Relationship, owners: Mapping[str, ResolvedMapping]
) -> tuple[str, str, str]:
    owner = owners.get(r.to_table)
    name = code(r.to_table) if owner is None else _link(mapping, owner, r.to_table, r.to_table)
    other = f"{name} ({', '.join(code(c) for c in r.to_fields)})" + ("" if owner else ", which no mapping makes")
    kind = r.type.replace("_", " ") + (f". {r.description}" if r.description else "")
    return ", ".join(code(c) for c in r.from_fields), other, kind


def _link(mapping: ResolvedMapping, other: ResolvedMapping, text: str, anchor: str = "") -> str:
    """Return a link from a mapping's page to another's, or to a table on it."""
    at = f"#{anchor_of(anchor)}" if anchor else ""
    if other.name == mapping.name:
        return f"[{text}]({at})" if at else text
    return f"[{text}](../{page_of(other)}{at})"
