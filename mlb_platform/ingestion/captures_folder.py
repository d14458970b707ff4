"""Ingest a folder of captures: one with an INDEX.tsv, or plain JSON files of one endpoint method."""

from __future__ import annotations

import csv
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path

import psycopg

from mlb_platform.ingestion.gate import GateSpec, Rejection, Request, admit, gate_specs, reject
from mlb_platform.mapping.resolve import ResolvedMapping
from resources.errors import PlatformError
from resources.quality_store import QualityStore
from resources.raw_store import InsertOutcome, RawCapture, RawStore

INDEX = "INDEX.tsv"
COLUMNS = ("path", "endpoint", "method", "captured_at")
BATCH = 8
"""Captures in one transaction: at 1 MB each enough to hide its cost, few enough to hold in memory."""
AHEAD = 4
"""Batches read and stored that are not counted yet: two at work, two for the next who is free."""

Progress = Callable[[int, int, str], None]


class IngestError(PlatformError):
    """A folder that cannot be ingested at all."""


@dataclass
class IngestReport:
    """What became of the files of a folder: every one of them is counted once.

    `skipped` counts files of endpoint methods that no mapping provides, `filtered` those of other mappings than the one
    asked for, `ignored` names files that are no captures. `dates` are the partition dates of the rows stored.
    """

    folder: Path
    stored: int = 0
    repeats: int = 0
    rejections: list[Rejection] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    filtered: int = 0
    ignored: list[str] = field(default_factory=list)
    dates: Counter[date | None] = field(default_factory=Counter)

    @property
    def rejected(self) -> int:
        """The number of payloads refused; the reasons are in `rejections` and `quality.rejected_payloads`."""
        return len(self.rejections)

    @property
    def exit_code(self) -> int:
        """0 when there was something to ingest and all of it is in the raw store, else 1."""
        return 0 if (self.stored or self.repeats) and not self.rejections else 1

    @property
    def summary(self) -> str:
        """One line that says how many of each."""
        parts = [f"{self.stored} stored", f"{self.repeats} repeated (already there)", f"{self.rejected} rejected"]
        if self.skipped:
            names = ", ".join(f"{name} {count}" for name, count in sorted(self.skipped.items()))
            parts.append(f"{self.skipped.total()} skipped (no mapping: {names})")
        if self.filtered:
            parts.append(f"{self.filtered} of other mappings left out")
        if self.ignored:
            parts.append(f"{len(self.ignored)} other files ignored")
        if self.dates[None]:
            parts.append(f"{self.dates[None]} stored without a date")
        return f"{self.folder}: {', '.join(parts)}"


@dataclass(frozen=True)
class _File:
    """One file to ingest; `problem` is set where it cannot even be tried."""

    path: Path
    endpoint: str
    method: str
    entity_id: str | None
    captured_at: str
    problem: str | None = None

    @property
    def name(self) -> str:
        return f"{self.endpoint}/{self.method}"

    @property
    def source(self) -> str:
        return _printable(self.path)


def ingest_folder(
    folder: Path,
    store: RawStore,
    quality: QualityStore,
    mappings: Mapping[str, ResolvedMapping],
    *,
    only_mapping: str | None = None,
    endpoint: str | None = None,
    method: str | None = None,
    captured_at: str | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    """Store every capture of `folder` and return what became of each file.

    A folder with an INDEX.tsv says itself what its files are; for plain `.json[.gz]` files give `endpoint`, `method`
    and `captured_at` (an ISO time with zone). What cannot be stored goes to `quality.rejected_payloads`, and the rest
    of the folder is ingested. `only_mapping` (`endpoint/method`) leaves the others out. `progress` gets the number of
    files done, of all, and the last one's name. Raises IngestError when the folder or what was asked makes no sense.
    """
    if not folder.is_dir():
        what = "is a file: give the folder it lies in" if folder.exists() else "does not exist"
        raise IngestError(f"the captures folder {folder} {what}")
    if only_mapping is not None and only_mapping not in mappings:
        raise IngestError(f"no mapping {only_mapping!r}; there are: {', '.join(sorted(mappings))}")
    report = IngestReport(folder)
    specs = gate_specs(mappings)
    raw_table = specs[only_mapping].raw_table if only_mapping is not None else None
    if (folder / INDEX).exists():
        if endpoint or method or captured_at:
            raise IngestError(f"{folder} has an {INDEX}: leave endpoint, method and captured-at to it")
        files = list(_indexed_files(folder, report))
    else:
        files = list(_plain_files(folder, report, endpoint, method, captured_at, specs))
    if not files:
        raise IngestError(f"{folder} has no captures: neither files in an {INDEX} nor .json or .json.gz files")
    wanted = []
    for file in files:
        known = specs.get(file.name)
        if raw_table is not None and file.endpoint and (known is None or known.raw_table != raw_table):
            report.filtered += 1
        elif file.problem is None and known is None:
            report.skipped[file.name] += 1
        else:
            wanted.append(file)
    _ingest(wanted, store, quality, specs, report, progress)
    return report


def _indexed_files(folder: Path, report: IngestReport) -> Iterator[_File]:
    """Yield the files of INDEX.tsv, and those it does not name."""
    try:
        with (folder / INDEX).open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text, delimiter="\t", quoting=csv.QUOTE_NONE)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
            if missing:
                raise IngestError(f"{folder / INDEX} has no column {', '.join(missing)} in its first line")
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise IngestError(f"{folder / INDEX} cannot be read: {error}") from error
    named = set()
    root = folder.resolve()
    for line, row in rows:
        values = {name: (row.get(name) or "").strip() for name in (*COLUMNS, "id")}
        path = folder / values["path"]
        try:
            resolved, there = path.resolve(), path.is_file()
        except (OSError, ValueError):  # no file can have that name: it is too long, or has a NUL
            resolved, there = root / values["path"], False
        named.add(resolved)
        problem = None
        if not all(values[name] for name in ("path", "endpoint", "method")):
            problem = f"line {line} of {INDEX} lacks a path, endpoint or method"
        elif not resolved.is_relative_to(root):
            problem = f"line {line} of {INDEX} names a file outside the folder"
        elif not there:
            problem = f"line {line} of {INDEX} names a file that is not there"
        yield _File(path, values["endpoint"], values["method"], values["id"] or None, values["captured_at"], problem)
    for path in _files(folder):
        if path.resolve() in named or path.name == INDEX:
            continue
        if not _is_capture(path):
            report.ignored.append(_printable(path))
            continue
        parts = path.relative_to(folder).parts
        endpoint, method = (parts[0], parts[1]) if len(parts) > 2 else ("", "")
        problem = f"the file is not in {INDEX}, so when it was captured is not known"
        yield _File(path, endpoint, method, None, "", problem)


def _plain_files(
    folder: Path,
    report: IngestReport,
    endpoint: str | None,
    method: str | None,
    captured_at: str | None,
    specs: Mapping[str, GateSpec],
) -> Iterator[_File]:
    """Yield the JSON files of a folder without INDEX.tsv."""
    given = {"endpoint": endpoint, "method": method, "captured-at": captured_at}
    missing = [f"--{name}" for name, value in given.items() if not value]
    if missing:
        raise IngestError(
            f"{folder} has no {INDEX}, so its files need {', '.join(missing)}: give them to `mlb ingest captures`"
        )
    if f"{endpoint}/{method}" not in specs:
        raise IngestError(f"no mapping '{endpoint}/{method}'; there are: {', '.join(sorted(specs))}")
    parse_captured_at(str(captured_at))
    for path in _files(folder):
        if _is_capture(path):
            yield _File(path, str(endpoint), str(method), None, str(captured_at))
        else:
            report.ignored.append(_printable(path))


def _files(folder: Path) -> list[Path]:
    """Return the files of a folder and of those in it, in order; hidden ones are left out.

    A link that leads nowhere counts as a file, one that cannot be read. Raises IngestError for a folder that cannot be.
    """
    found: list[Path] = []
    for at, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(at, name) for name in names if not name.startswith(".")]
    return sorted(path for path in found if path.is_file() or not path.exists())


def _unreadable(error: OSError) -> None:
    where = _printable(Path(error.filename))
    raise IngestError(f"the folder {where} cannot be read: {error.strerror}; nothing was ingested") from error


def _is_capture(path: Path) -> bool:
    return path.name.lower().endswith((".json", ".json.gz"))


def _printable(path: Path) -> str:
    """Return a path as text: bytes of a name that are no UTF-8 as backslash escapes."""
    return os.fsencode(path).decode(errors="backslashreplace")


def parse_captured_at(text: str) -> datetime:
    """Return the instant of an ISO text with time zone. Raises IngestError that says what is wrong."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise IngestError(f"captured_at {text!r} is no ISO time: write 2024-07-13T04:19:09Z") from error
    if value.tzinfo is None:
        raise IngestError(f"captured_at {text!r} has no time zone: write 2024-07-13T04:19:09Z")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise IngestError(f"captured_at {text!r} is not between the years 1 and 9999 in UTC") from error


def _admit(file: _File, specs: Mapping[str, GateSpec]) -> RawCapture | Rejection:
    body = b""
    problem = file.problem
    try:
        if problem is None or file.path.is_file():
            body = file.path.read_bytes()
    except OSError as error:
        problem = problem or f"the file cannot be read: {error.strerror}"
    if problem is None:
        try:
            received = parse_captured_at(file.captured_at)
        except IngestError as error:
            problem = str(error)
    if problem is not None:
        return reject(body, file.source, file.endpoint, file.method, problem)
    params: dict[str, object] = {"id": file.entity_id} if file.entity_id else {}
    return admit(body, Request(file.source, received, file.entity_id, params), specs[file.name])


def _ingest(
    files: list[_File],
    store: RawStore,
    quality: QualityStore,
    specs: Mapping[str, GateSpec],
    report: IngestReport,
    progress: Progress | None,
) -> None:
    """Store the files in batches, two at a time: the server parses JSON on one core while we do on the other.

    A batch is let go of once it is counted, and only some are ahead: memory does not grow with the folder.
    """
    by_name: dict[str, list[_File]] = {}
    for file in files:
        by_name.setdefault(file.name, []).append(file)
    batches = [group[i : i + BATCH] for group in by_name.values() for i in range(0, len(group), BATCH)]
    jobs: deque[Future[list[_Outcome]]] = deque()
    ahead, done = iter(batches), 0
    with ThreadPoolExecutor(max_workers=2) as pool:
        try:
            for batch in batches:
                jobs.extend(pool.submit(_ingest_batch, b, store, specs) for b in islice(ahead, AHEAD - len(jobs)))
                for outcome in jobs.popleft().result():
                    _count(outcome, quality, report)
                done += len(batch)
                if progress is not None:
                    progress(done, len(files), Path(batch[-1].source).name)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


_Outcome = Rejection | tuple[RawCapture, InsertOutcome]


def _ingest_batch(batch: list[_File], store: RawStore, specs: Mapping[str, GateSpec]) -> list[_Outcome]:
    results: list[_Outcome] = []
    sources: dict[int, _File] = {}
    captures: list[RawCapture] = []
    for file in batch:
        admitted = _admit(file, specs)
        if isinstance(admitted, Rejection):
            results.append(admitted)
        else:
            sources[id(admitted)] = file
            captures.append(admitted)
    if not captures:
        return results
    raw_table = specs[batch[0].name].raw_table
    try:
        return results + list(zip(captures, store.insert_many(raw_table, captures), strict=True))
    except (psycopg.DataError, psycopg.errors.ProgramLimitExceeded):
        pass  # one of them is more than jsonb can hold: each by itself then
    for capture in captures:
        try:
            results.append((capture, store.insert(raw_table, capture)))
        except (psycopg.DataError, psycopg.errors.ProgramLimitExceeded) as error:
            file = sources[id(capture)]
            reason = f"PostgreSQL cannot store it: {error.diag.message_primary or error}"
            results.append(reject(capture.data, file.source, file.endpoint, file.method, reason))
    return results


def _count(outcome: _Outcome, quality: QualityStore, report: IngestReport) -> None:
    if isinstance(outcome, Rejection):
        report.rejections.append(outcome)
        quality.reject(
            source=outcome.source,
            endpoint=outcome.endpoint,
            method=outcome.method,
            reason=outcome.reason,
            excerpt=outcome.excerpt,
            content_hash=outcome.content_hash,
        )
    elif outcome[1] is InsertOutcome.STORED:
        report.stored += 1
        report.dates[outcome[0].partition_date] += 1
    else:
        report.repeats += 1
