"""Load mapping files: every error of every file at once, each with file, line, column and reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from mlb_platform.mapping.checks import find_problems
from mlb_platform.mapping.mend import without_errors
from mlb_platform.mapping.models import MappingConfig
from mlb_platform.mapping.problems import Finding
from mlb_platform.mapping.resolve import ResolvedMapping, resolve
from mlb_platform.mapping.shape import document_tree, mixed_reads

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The safe loader, ten times faster where PyYAML has libyaml."""


@dataclass(frozen=True, order=True)
class MappingProblem:
    """One finding in a mapping file; line and column count from 1."""

    file: str
    line: int
    column: int
    message: str
    level: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.level}: {self.message}"


class MappingError(ValueError):
    """Mapping files with errors: `problems` holds all of them, over all files."""

    def __init__(self, problems: Iterable[MappingProblem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))


_TEXT = "tag:yaml.org,2002:str"


def _nodes(root: yaml.Node) -> Iterator[yaml.Node]:
    """Yield every node once, aliases too; what it holds comes after whoever asked is done with it."""
    nodes, looked_at = [root], set[int]()
    while nodes:
        node = nodes.pop()
        if id(node) in looked_at:
            continue  # an alias
        looked_at.add(id(node))
        yield node
        if isinstance(node, yaml.MappingNode):
            nodes += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value


def _find_duplicates(root: yaml.Node) -> Iterator[tuple[yaml.Node, str]]:
    for node in _nodes(root):
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, _ in node.value:
                if key.value in seen:
                    yield key, f"key {key.value!r} stands twice in one object"
                seen.add(key.value)


def _mend_unreadable(root: yaml.Node) -> Iterator[tuple[yaml.Node, str]]:
    """Yield what PyYAML fails on: keys that are no texts, dates and numbers that are none (2024-13-01).

    Such members are left out and such values become texts, so that all else is checked too.
    """
    maker: Any = yaml.constructor.SafeConstructor()
    for node in _nodes(root):
        if isinstance(node, yaml.MappingNode):
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    yield key, "a key has to be a text, not an object or a list"
            node.value = [(key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
        elif isinstance(node, yaml.ScalarNode) and node.tag != _TEXT:
            try:
                maker.construct_object(node)
            except (ValueError, AttributeError, KeyError):  # PyYAML's own, of 2024-13-01 or !!bool x
                yield node, f"{node.value[:40]!r} is read as {node.tag.rpartition(':')[2]}, and is none: quote it"
                node.tag = _TEXT
            except yaml.YAMLError:
                continue  # told, with its place, where the whole is read


def _mark(root: yaml.Node, location: tuple[str | int, ...]) -> yaml.Mark:
    """Return where in the file a location is: its node, or the nearest one above that exists."""
    node, mark = root, root.start_mark
    for step in location:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            mark = node.start_mark
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(step):
                    node, mark = value, key.start_mark
                    break
    return mark


def find_place(text: str, location: tuple[str | int, ...]) -> tuple[int, int]:
    """Return line and column, from 1, of a location in a mapping's YAML text."""
    root = yaml.compose(text, Loader=LOADER)
    if root is None:
        return 1, 1
    mark = _mark(root, location)
    return mark.line + 1, mark.column + 1


def _model_problems(error: ValidationError) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield (location, reason) of what pydantic found, in the words of the mapping language."""
    told: set[tuple[str | int, ...]] = set()
    kinds: dict[tuple[str | int, ...], list[str]] = {}
    for e in error.errors():
        tags = [i for i, s in enumerate(e["loc"]) if _is_union_tag(s)]
        location = tuple(s for s in e["loc"] if not _is_union_tag(s))
        if tags and e["type"] != "value_error":
            # one of several kinds a value may be of: told only when no other says more
            kinds.setdefault(e["loc"][: tags[0]], []).append(e["msg"])
            continue
        told.add(e["loc"][: tags[0]] if tags else location)
        message = e["msg"].removeprefix("Value error, ")
        if e["type"] == "extra_forbidden":
            message = f"unknown key {location[-1]!r}"
        elif e["type"] == "missing":
            message = f"missing key {location[-1]!r}"
        elif e["type"] != "value_error":
            message = f"{'.'.join(map(str, location))}: {message}"
        yield location, message
    for location, messages in kinds.items():
        if location not in told:
            yield location, f"{'.'.join(map(str, location))}: {', or '.join(dict.fromkeys(messages))}"


def _is_union_tag(step: str | int) -> bool:
    return isinstance(step, str) and ("[" in step or step in ("str", "int", "float", "bool"))


@dataclass(frozen=True)
class _Loaded:
    """What a text says: nothing but `problems` and what it `defines` where it has errors."""

    config: MappingConfig | None
    problems: tuple[MappingProblem, ...]
    defines: tuple[tuple[str, int, int], ...] = ()
    resolved: ResolvedMapping | None = None


@lru_cache(maxsize=64)  # one process asks for the same files several times: registry, definitions, commands
def _load(text: str, file: str) -> _Loaded:
    def problem(mark: yaml.Mark, message: str, level: Literal["error", "warning"] = "error") -> MappingProblem:
        return MappingProblem(file, mark.line + 1, mark.column + 1, message, level)

    try:
        loader = LOADER(text)
        root = loader.get_single_node()
        problems = []
        for find in (_mend_unreadable, _find_duplicates):
            problems += [problem(node.start_mark, message) for node, message in find(root)] if root is not None else []
        data: Any = None if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark or yaml.Mark(file, 0, 0, 0, None, 0)
        return _Loaded(None, (problem(mark, f"not YAML: {error.problem}"),))
    except yaml.YAMLError as error:
        return _Loaded(None, (MappingProblem(file, 1, 1, f"not YAML: {error}"),))
    except RecursionError:
        return _Loaded(None, (MappingProblem(file, 1, 1, "nested too deeply to be a mapping file"),))
    except UnicodeEncodeError as error:
        return _Loaded(None, (MappingProblem(file, 1, 1, f"not YAML: {error}"),))
    if not isinstance(data, dict):
        message = "a mapping file holds one object with version, source and targets"
        return _Loaded(None, (MappingProblem(file, 1, 1, message),))
    defines = tuple((name, mark.line + 1, mark.column + 1) for name, mark in _defined_names(root))
    try:
        config = MappingConfig.model_validate(data)
    except ValidationError as error:
        problems += dict.fromkeys(problem(_mark(root, loc), message) for loc, message in _model_problems(error))
        partial, mended = without_errors(data, error)
        for loc, message, level in find_problems(partial) if partial is not None else ():
            if not any(loc[: len(m)] == m for m in mended):
                problems.append(problem(_mark(root, loc), message, level))
        return _Loaded(None, tuple(problems), defines)
    found = list(find_problems(config))
    resolved = None
    if not any(level == "error" for _, _, level in found):
        try:
            resolved = resolve(config)
            document_tree(resolved)  # what is wrong with all paths taken together
            found += _mixed(resolved)
        except ValueError as error:
            found.append((("targets",), str(error), "error"))
    problems += [problem(_mark(root, loc), message, level) for loc, message, level in found]
    return _Loaded(config, tuple(problems), defines, resolved)


def _mixed(mapping: ResolvedMapping) -> Iterator[Finding]:
    """Yield what is wrong with columns that take as a value what others read values of."""
    for table, name, path in mixed_reads(mapping):
        i, target = next((i, t) for i, t in enumerate(mapping.config.targets) if t.name == table)
        place = next((("fields", n, "json_path") for n, f in enumerate(target.fields) if f.name == name), ())
        message = f"{path} is read as one value by {name}, and so are members or items of it elsewhere"
        if mapping.by_name[table].by_name[name].type.name == "JSONB":
            ends = "a document with a value of an unusual kind ends the run: take one of the two"
            yield ("targets", i, *place), f"{message}: {ends}", "warning"
        else:
            yield ("targets", i, *place), f"{message}: take one of the two", "error"


def load_text(text: str, file: str) -> tuple[MappingConfig | None, list[MappingProblem]]:
    """Load one mapping from YAML text; `file` is the name problems are reported under."""
    loaded = _load(text, file)
    return loaded.config, list(loaded.problems)


def _defined_names(root: yaml.Node) -> Iterator[tuple[str, yaml.Mark]]:
    """Yield what a file defines (its mapping, its tables) and where, whatever else is wrong with it."""
    source = dict(_members(_member_of(root, "source")))
    endpoint, method = source.get("endpoint"), source.get("method")
    if isinstance(endpoint, yaml.ScalarNode) and isinstance(method, yaml.ScalarNode):
        yield f"mapping {endpoint.value}/{method.value}", endpoint.start_mark
    targets = _member_of(root, "targets")
    names = set()
    for target in targets.value if isinstance(targets, yaml.SequenceNode) else ():
        name = _member_of(target, "name")
        if isinstance(name, yaml.ScalarNode) and name.value not in names:
            names.add(name.value)
            yield str(name.value), name.start_mark


def _members(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode):
            yield key.value, value


def _member_of(node: yaml.Node | None, name: str) -> yaml.Node | None:
    return next((value for key, value in _members(node) if key == name), None)


def load_file(path: Path) -> MappingConfig:
    """Load one mapping file; raise MappingError with all its errors (warnings do not raise)."""
    config, problems = load_text(path.read_text("utf-8"), str(path))
    errors = [p for p in problems if p.level == "error"]
    if errors or config is None:
        raise MappingError(errors)
    return config


def _load_files(paths: Iterable[Path]) -> tuple[dict[Path, _Loaded], list[MappingProblem]]:
    """Load many files; return those without errors, and all problems, with those only several files together have."""
    good: dict[Path, _Loaded] = {}
    problems: list[MappingProblem] = []
    owners: dict[str, str] = {}
    for path in paths:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(MappingProblem(str(path), 1, 1, f"cannot be read: {error}"))
            continue
        loaded = _load(text, str(path))
        found = list(loaded.problems)
        for name, line, column in loaded.defines:
            if name in owners:
                found.append(MappingProblem(str(path), line, column, f"{name} is also defined in {owners[name]}"))
            owners.setdefault(name, f"{path}:{line}")
        problems += found
        if not any(p.level == "error" for p in found):
            good[path] = loaded
    return good, sorted(problems)


def lint_files(paths: Iterable[Path]) -> tuple[dict[Path, MappingConfig], list[MappingProblem]]:
    """Load many files; return those that load, and all problems, with those only several files together have."""
    good, problems = _load_files(paths)
    return {path: loaded.config for path, loaded in good.items() if loaded.config is not None}, problems


NO_MAPPINGS = frozenset({"exports", "known", "released"})


def mapping_files(folder: Path) -> list[Path]:
    """Return the mapping files of a folder, ENDPOINT/METHOD.yaml; what is known and released lies beside them."""
    return sorted(
        p for pattern in ("*/*.yaml", "*/*.yml") for p in folder.glob(pattern) if p.parent.name not in NO_MAPPINGS
    )


class MappingRegistry:
    """All mappings of a folder, loaded once and resolved."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mappings: dict[str, ResolvedMapping] | None = None

    @property
    def mappings(self) -> dict[str, ResolvedMapping]:
        """Mappings by `endpoint/method`; raise MappingError with all errors of all files."""
        if self._mappings is None:
            files = mapping_files(self.folder)
            if not files:
                raise MappingError(
                    [MappingProblem(str(self.folder), 1, 1, "no mapping files (ENDPOINT/METHOD.yaml) here")]
                )
            good, problems = _load_files(files)
            errors = [p for p in problems if p.level == "error"]
            if errors:
                raise MappingError(errors)
            self._mappings = {r.config.name: r for r in (loaded.resolved for loaded in good.values()) if r is not None}
        return self._mappings

    @property
    def parents_first(self) -> list[ResolvedMapping]:
        """All mappings, tables before those that refer to them, dates before what waits for them; else by name."""
        owners = {t: m for m in self.mappings.values() for t in m.by_name}
        ordered: dict[str, ResolvedMapping] = {}
        seen: set[str] = set()

        def take(mapping: ResolvedMapping) -> None:
            if mapping.name in seen:
                return
            seen.add(mapping.name)
            named = {r.to_table for t in mapping.targets for r in t.relationships}
            for parent in sorted(owners[t].name for t in named if t in owners):
                take(self.mappings[parent])
            ordered[mapping.name] = mapping

        for mapping in sorted(self.mappings.values(), key=lambda m: (m.config.source.dated_by is not None, m.name)):
            take(mapping)
        return list(ordered.values())

    def get(self, name: str) -> ResolvedMapping:
        """Return one mapping by `endpoint/method`; raise KeyError that lists those there are."""
        if name not in self.mappings:
            raise KeyError(f"no mapping {name!r}; there are: {', '.join(sorted(self.mappings))}")
        return self.mappings[name]

    def table_owner(self, table: str) -> ResolvedMapping:
        """Return the mapping that provides a table; raise KeyError that lists the tables there are."""
        for mapping in self.mappings.values():
            if table in mapping.by_name:
                return mapping
        known = sorted(t for m in self.mappings.values() for t in m.by_name)
        raise KeyError(f"no table {table!r}; there are: {', '.join(known)}")
