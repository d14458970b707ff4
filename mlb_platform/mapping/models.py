"""The pydantic models of a mapping file. What one field alone can get wrong is checked here; the rest in `checks`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from mlb_platform.mapping.filters import filter_paths, parse_filter
from mlb_platform.mapping.paths import parse_path
from mlb_platform.mapping.types import check_format, parse_type

Severity = Literal["error", "warn"]


def _valid_type(value: str) -> str:
    return str(parse_type(value))


def _valid_path(value: str) -> str:
    parse_path(value)
    return value


def _valid_source_path(value: str) -> str:
    if parse_path(value, wildcards=True).anchor != "item":
        raise ValueError(f"path {value!r} must start with $ (the document)")
    return value


def _valid_filter(value: str) -> str:
    parse_filter(value)
    return value


def _valid_document_filter(value: str) -> str:
    for path in filter_paths(parse_filter(value)):
        if path.anchor != "item":
            raise ValueError(f"filter {value!r}: {path} must start with $ (the document)")
    return value


def _valid_table(value: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}\.[a-z_][a-z0-9_]{0,62}", value):
        raise ValueError(f"{value!r} must be schema.table in lower case, each at most 63 characters")
    return value


def _valid_column(value: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", value):
        raise ValueError(f"{value!r} must be lower case letters, digits and _, at most 63 characters")
    return value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


TypeText = Annotated[str, AfterValidator(_valid_type)]
PathText = Annotated[str, AfterValidator(_valid_path)]
SourcePathText = Annotated[str, AfterValidator(_valid_source_path)]
FilterText = Annotated[str, AfterValidator(_valid_filter)]
DocumentFilterText = Annotated[str, AfterValidator(_valid_document_filter)]
TableName = Annotated[str, AfterValidator(_valid_table)]
ColumnName = Annotated[str, AfterValidator(_valid_column)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InheritedColumn(_Strict):
    """The entity key or the partition date: present in every table.

    Read from the document (`json_path`; relative to the entity's element where `source.entities` is given), else taken
    from the raw row: an entity key that the request or `template` gave, a date that was found for it.
    """

    name: ColumnName
    type: TypeText
    json_path: PathText | list[PathText] | None = None
    template: str | None = None
    description: str = ""

    @model_validator(mode="after")
    def _one_source(self) -> InheritedColumn:
        if self.json_path is not None and self.template is not None:
            raise ValueError(f"column {self.name!r}: json_path and template exclude each other")
        for path in re.findall(r"\{(\$[^}]*)\}", self.template or ""):
            parse_path(path)
        return self


class EmbeddedDocuments(_Strict):
    """Documents of another endpoint that a response carries; kept as a response `{as: [...]}` of mapping `into`.

    `from_paths`: where they lie, best first; of several with one `key` the first is taken.
    """

    into: str
    member: ColumnName
    key: str = "id"
    from_paths: list[SourcePathText] = Field(min_length=1)


class DateSource(_Strict):
    """Dates that a response tells of other entities (`of`: their key column): read from each element of an array."""

    of: ColumnName
    array_source: SourcePathText
    key: PathText
    date: PathText | list[PathText]


class MergeScope(_Strict):
    """What is merged as one unit; `snapshot`: a capture is complete for it, so rows it lacks are deleted."""

    key: ColumnName
    snapshot: bool = False


class SourceConfig(_Strict):
    """Which raw table a mapping reads, and what identifies an entity and its partition there."""

    endpoint: str
    method: str
    also: list[str] = Field(
        default_factory=list, description="Other methods of the endpoint whose responses have the same shape."
    )
    raw_table: TableName
    required: list[str] = Field(default_factory=list, description="Top-level members every payload has.")
    entities: SourcePathText | None = Field(
        default=None, description="The array whose elements are the entities, where a response has several."
    )
    entity_key: InheritedColumn | None = None
    partition: InheritedColumn | None = None
    dated_by: ColumnName | None = Field(
        default=None, description="The entity's date is what other responses say of this key; until then it waits."
    )
    dates: list[DateSource] = Field(default_factory=list)
    embeds: list[EmbeddedDocuments] = Field(default_factory=list)
    merge_scope: MergeScope | None = None
    final_when: DocumentFilterText | None = Field(
        default=None,
        description="What a response says once its entity is over: what changes after it is kept as a correction.",
    )


class ElementPick(_Strict):
    """The first or last element of an array that matches a filter; a field's json_path is then relative to it."""

    array_source: PathText
    pick: Literal["first", "last"] = "last"
    filter: FilterText | None = None


class Lookup(_Strict):
    """An element elsewhere in the document: a member of an object by key (`ID{$}`), or an array's item by index."""

    object_source: SourcePathText | None = None
    key: str | None = None
    array_source: SourcePathText | None = None
    index: PathText | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Lookup:
        by_key = self.object_source is not None and self.key is not None
        by_index = self.array_source is not None and self.index is not None
        given = [x for x in (self.object_source, self.key, self.array_source, self.index) if x is not None]
        if len(given) != 2 or not (by_key or by_index):
            raise ValueError("a look-up needs object_source with key, or array_source with index")
        if self.key is not None:
            for path in re.findall(r"\{([^}]*)\}", self.key):
                parse_path(path)
        return self


class RowSource(_Strict):
    """One of several sources whose rows are put together; `constants` mark which one a row came from.

    Rows are the items of an array, the members of an object keyed by id, or one object where it is there
    (`element_source`). `paths`: where columns lie in this source if elsewhere than their json_path says; null: nowhere.
    """

    array_source: SourcePathText | None = None
    object_source: SourcePathText | None = None
    element_source: SourcePathText | None = None
    filter: FilterText | None = None
    constants: dict[str, str | int | bool] = Field(default_factory=dict)
    paths: dict[ColumnName, PathText | list[PathText] | None] = Field(default_factory=dict)

    @property
    def source(self) -> str | None:
        """The path rows come from; None for one row a document."""
        return self.array_source or self.object_source or self.element_source

    def paths_of(self, f: FieldDefinition) -> list[str]:
        """Return the paths of a field in this source, in the order to try them."""
        if f.name not in self.paths:
            return f.paths
        given = self.paths[f.name]
        return [given] if isinstance(given, str) else given or []

    @model_validator(mode="after")
    def _one_kind(self) -> RowSource:
        if sum(x is not None for x in (self.array_source, self.object_source, self.element_source)) > 1:
            raise ValueError("array_source, object_source and element_source exclude each other")
        return self


class FieldDefinition(_Strict):
    """One column and where its value comes from: exactly one of json_path, source_field, expression, constant."""

    name: ColumnName
    type: TypeText
    json_path: PathText | list[PathText] | None = None
    source_field: str | None = None
    expression: str | None = None
    constant: str | int | float | bool | None = None
    element: ElementPick | None = None
    nullable: bool = True
    default: str | int | float | bool | None = None
    lenient: bool = False
    optional: bool = False
    format: str | None = None
    cleared_by: ColumnName | None = Field(
        default=None,
        description="Where captures are not complete: no value beside one of this column means none, not unknown.",
    )
    description: str = ""

    @property
    def paths(self) -> list[str]:
        """The paths to try, in order."""
        if self.json_path is None:
            return []
        return [self.json_path] if isinstance(self.json_path, str) else self.json_path

    @model_validator(mode="after")
    def _one_source(self) -> FieldDefinition:
        given = [
            name for name in ("json_path", "source_field", "expression", "constant") if getattr(self, name) is not None
        ]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(
                f"column {self.name!r} needs exactly one of json_path, source_field, expression, constant; "
                f"found {found}"
            )
        if self.element is not None and self.json_path is None:
            raise ValueError(f"column {self.name!r}: element needs a json_path relative to it")
        if self.format is not None and self.type not in ("DATE", "TIMESTAMPTZ"):
            raise ValueError(f"column {self.name!r}: format is for DATE and TIMESTAMPTZ")
        if self.format is not None:
            check_format(self.format)
        if self.json_path == []:
            raise ValueError(f"column {self.name!r}: json_path names no path")
        return self


class Relationship(_Strict):
    """A relationship to another table; kept and shown even where no mapping provides that table yet."""

    to_table: TableName
    from_field: ColumnName | list[ColumnName]
    to_field: ColumnName | list[ColumnName]
    type: Literal["many_to_one", "one_to_one"] = "many_to_one"
    description: str = ""

    @property
    def from_fields(self) -> list[str]:
        """Columns of this table."""
        return list(_as_list(self.from_field))

    @property
    def to_fields(self) -> list[str]:
        """Columns of the other table."""
        return list(_as_list(self.to_field))

    @model_validator(mode="after")
    def _same_length(self) -> Relationship:
        if len(self.from_fields) != len(self.to_fields):
            raise ValueError(f"relationship to {self.to_table}: from_field and to_field differ in number")
        return self


class IndexDefinition(_Strict):
    """A secondary index in PostgreSQL."""

    columns: list[ColumnName] = Field(min_length=1)
    type: Literal["btree", "hash", "gin", "brin"] = "btree"
    unique: bool = False


class DataQualityRule(_Strict):
    """A rule over rows; NULL passes, as in CHECK. `error` holds a capture back, `warn` is counted with samples."""

    kind: Literal["expression", "not_null", "unique", "range", "ordered", "reference"] = "expression"
    rule: str | None = None
    columns: list[ColumnName] = Field(default_factory=list)
    column: ColumnName | None = None
    min: int | float | str | None = None
    max: int | float | str | None = None
    order_by: list[ColumnName] = Field(default_factory=list)
    within: list[ColumnName] = Field(default_factory=list)
    to_table: TableName | None = None
    to_columns: list[ColumnName] = Field(default_factory=list)
    severity: Severity = "error"
    name: str | None = None
    description: str = ""

    @property
    def label(self) -> str:
        """What identifies the rule within its table: its name, or its text."""
        if self.name:
            return self.name
        if self.kind == "expression":
            return str(self.rule)
        if self.kind == "range":
            return f"range({self.column}, {self.min}, {self.max})"
        return f"{self.kind}({', '.join(self.columns)})" + (f" -> {self.to_table}" if self.to_table else "")

    @property
    def needs(self) -> list[str]:
        """Columns of this table the rule names outside an expression."""
        return [*self.columns, *([self.column] if self.column else []), *self.order_by, *self.within]

    @model_validator(mode="after")
    def _complete(self) -> DataQualityRule:
        missing = {
            "expression": self.rule is None and "rule",
            "not_null": not self.columns and "columns",
            "unique": not self.columns and "columns",
            "range": (self.column is None and "column") or (self.min is None and self.max is None and "min or max"),
            "ordered": (not self.columns and "columns") or (not self.order_by and "order_by"),
            "reference": not (self.columns and self.to_table and len(self.columns) == len(self.to_columns))
            and "columns, to_table and as many to_columns",
        }[self.kind]
        if missing:
            raise ValueError(f"a rule of kind {self.kind} needs {missing}")
        return self


class ExportConfig(_Strict):
    """An export of tables to files elsewhere."""

    name: str
    tables: list[TableName] = Field(default_factory=list)
    format: Literal["parquet", "csv", "json", "avro"] = "parquet"
    destination: str
    partition_by: list[ColumnName] = Field(default_factory=list)
    description: str = ""


class IgnoredPath(_Strict):
    """A path (and what is below it) that no column takes, and why.

    A path with leaves below it is legal only for a copy of a mapped part (`copy_of`) or season-to-date `statistics`.
    """

    path: SourcePathText
    reason: str = Field(min_length=1)
    copy_of: SourcePathText | None = None
    statistics: bool = False


class LatestView(_Strict):
    """A view with one row a `key` of a table: the first by `order_by` (`column`, or `-column` for descending)."""

    name: TableName
    table: TableName
    key: list[ColumnName] = Field(min_length=1)
    order_by: list[str] = Field(min_length=1)
    description: str = ""


class TargetTable(_Strict):
    """One table: where its rows come from, its columns, key, relationships, indexes and rules."""

    name: TableName
    description: str = ""
    partition_by: ColumnName | None = None
    primary_key: list[ColumnName] = Field(min_length=1)
    upsert_keys: list[ColumnName] | None = None
    array_source: SourcePathText | None = None
    object_source: SourcePathText | None = None
    sources: list[RowSource] | None = None
    filter: FilterText | None = None
    lookups: dict[ColumnName, Lookup] = Field(default_factory=dict)
    fields: list[FieldDefinition] = Field(min_length=1)
    relationships: list[Relationship] = Field(default_factory=list)
    indexes: list[IndexDefinition] = Field(default_factory=list)
    data_quality: list[DataQualityRule] = Field(default_factory=list)
    merge_scope: MergeScope | None = None
    owners: list[str] = Field(default_factory=list)

    @property
    def row_sources(self) -> list[RowSource]:
        """Where rows come from; one source without array or object means one row a document."""
        if self.sources is not None:
            return self.sources
        return [RowSource(array_source=self.array_source, object_source=self.object_source)]

    @property
    def is_document(self) -> bool:
        """Whether the table has one row a document."""
        return all(s.source is None for s in self.row_sources)

    @model_validator(mode="after")
    def _one_row_source(self) -> TargetTable:
        given = [n for n in ("array_source", "object_source", "sources") if getattr(self, n) is not None]
        if len(given) > 1:
            raise ValueError(f"target {self.name}: {' and '.join(given)} exclude each other")
        if self.sources == []:
            raise ValueError(f"target {self.name}: sources names no source")
        return self


class MappingConfig(_Strict):
    """One mapping file: how the responses of one endpoint method become tables."""

    version: str
    source: SourceConfig
    targets: list[TargetTable]
    ignore_paths: list[IgnoredPath] = Field(default_factory=list)
    exports: list[ExportConfig] = Field(default_factory=list)
    views: list[LatestView] = Field(default_factory=list)
    description: str = ""

    @property
    def name(self) -> str:
        """`endpoint/method`, the name people use on the command line."""
        return f"{self.source.endpoint}/{self.source.method}"
