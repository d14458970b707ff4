"""The quality report of a table and date as one HTML page that needs nothing beside it: rules, columns, plots."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlb_platform.quality.figures import number, percent
from mlb_platform.quality.profile import ColumnProfile, DataProfile, Value
from mlb_platform.quality.report_plots import completeness_svg, plot_svg, rows_svg
from mlb_platform.quality.results import RuleResult
from mlb_platform.quality.suggestions import Suggestion
from mlb_platform.quality.suggestions_said import is_id
from resources.errors import PlatformError

if TYPE_CHECKING:
    from jinja2 import Template

    from mlb_platform.mapping.resolve import ResolvedTarget

TEMPLATES = Path(__file__).with_name("templates")
_STUB = ": no report yet</title>"
_ANY_DATE = "0000-00-00"
ALL = "all"
"""What the report of a whole table is called, in the place of a date."""


@dataclass(frozen=True)
class Report:
    """What a page tells. A part that was not asked for is None, and left out."""

    target: ResolvedTarget
    what: str
    """The date, the range of dates, or `all`."""
    rows: int
    source: str
    """Where the rows were read, in words."""
    profile: DataProfile | None = None
    rules: Sequence[RuleResult] | None = None
    judged: str = "all rules, on these rows"
    contract: Sequence[str] | None = None
    suggestions: Sequence[Suggestion] | None = None
    rows_by_date: Sequence[tuple[str, int]] = ()
    notes: Sequence[str] = ()
    mapping: str = ""

    @property
    def broken(self) -> list[RuleResult]:
        """The rules that rows break, those of severity error first."""
        return sorted((r for r in self.rules or () if not r.passed), key=lambda r: r.severity != "error")

    @property
    def verdict(self) -> str:
        """`failed`, `warned` or `passed`; `profiled` where nothing was judged."""
        if self.contract or any(r.severity == "error" for r in self.broken):
            return "failed"
        return "warned" if self.broken else "profiled" if self.rules is None else "passed"

    @property
    def command(self) -> str:
        """The command that makes the full report anew."""
        return f"mlb quality report {self.target.name}{_range(self.what)}"


def report_name(start: date | None = None, end: date | None = None) -> str:
    """Return what the report of a date, a range or a whole table is called: its file without `.html`."""
    if start is None and end is None:
        return ALL
    return str(start) if start == end else f"{start or 'first'}_{end or 'last'}"


def _range(what: str) -> str:
    if what == ALL:
        return ""
    first, _, last = what.partition("_")
    if not last:
        return f" --date {first}"
    start = "" if first == "first" else f" --from {first}"
    return start + ("" if last == "last" else f" --to {last}")


def report_path(folder: Path, table: str, name: str) -> Path:
    """Return where the report of a table and date is kept; `folder` is that of all quality reports."""
    return folder / table / f"{name}.html"


def render(report: Report) -> str:
    """Return the page."""
    columns = report.target.by_name
    profiled = report.profile.columns if report.profile is not None else ()
    return _template("report.html.j2").render(
        report=report,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        columns=[_column(c, report.target) for c in profiled],
        rules=[r for r in report.rules or () if not r.passed or r.skipped],
        kept=[r for r in report.rules or () if r.passed and not r.skipped],
        rows_plot=rows_svg(report.rows_by_date),
        described=columns,
    )


def _column(c: ColumnProfile, target: ResolvedTarget) -> dict[str, Any]:
    known = target.by_name.get(c.name)
    figures = [("distinct", f"{number(c.distinct)}{' (every row)' if c.unique and c.rows > 1 else ''}")]
    if c.kind in ("integer", "number") and c.mean is not None and c.distinct > 1 and not is_id(c.name):
        figures += [("mean", number(c.mean)), ("std dev", number(c.stddev))]
    if 0.5 in c.quantiles and c.distinct > 1 and not is_id(c.name):
        figures += [("5 %", number(c.quantiles[0.05])), ("median", number(c.quantiles[0.5]))]
        figures += [("95 %", number(c.quantiles[0.95]))]
    if c.lengths is not None:
        figures.append(("characters", f"{c.lengths[0]}–{c.lengths[1]}"))
    if c.not_finite:
        figures.append(("NaN or infinite", number(c.not_finite)))
    if c.inferred is not None and (known is None or known.type.name in ("TEXT", "VARCHAR")):
        figures.append(("looks like", f"{c.inferred.type} ({percent(c.inferred.share)} %)"))
    return {
        "name": c.name,
        "type": str(known.type) if known is not None else c.type,
        "key": c.name in target.key,
        "description": known.description if known is not None else "",
        "complete": percent(c.completeness),
        "bar": completeness_svg(c),
        "plot": plot_svg(c),
        "range": (_extreme(c.min, c), _extreme(c.max, c)) if c.count else None,
        "figures": [(k, v) for k, v in figures if v != ""],
    }


def _extreme(value: Value, c: ColumnProfile) -> str:
    return str(value) if is_id(c.name) else number(value)


@cache
def _template(name: str) -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"number": number, "percent": percent, "sample": sample_text}
    return environment.get_template(name)


def sample_text(row: dict[str, Any]) -> str:
    """Return a sample row in one line."""
    return ", ".join(f"{k} = {_cell(v)}" for k, v in row.items())


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    return json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, str | dict | list) else str(value)


def render_stub(target: ResolvedTarget, what: str, reason: str) -> str:
    """Return the page that stands where a report would, and says how to make it."""
    stub = Report(target, what, 0, "")
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return _template("stub.html.j2").render(report=stub, reason=reason, made=made)


def stubs(target: ResolvedTarget, names: Sequence[str], reason: str) -> Iterator[str]:
    """Give the pages of `render_stub` for dates, by their names: what they have in common is put together once."""
    page = render_stub(target, _ANY_DATE, reason) if names else ""
    for name in names:
        yield render_stub(target, name, reason) if name == ALL else page.replace(_ANY_DATE, name)


def is_page(path: Path) -> bool:
    """Tell whether there is a page, be it one that only says how to make the report."""
    return os.path.isfile(path)  # noqa: PTH113 (a folder that must not be read has none)


def is_stub(path: Path) -> bool:
    """Tell whether a page is one of `render_stub`."""
    try:
        with path.open(encoding="utf-8") as page:
            return any(_STUB in line for line in islice(page, 10))
    except (OSError, UnicodeDecodeError):
        return False


def save(path: Path, page: str) -> Path:
    """Write a page whole or not at all, unless it is there as it is; raise PlatformError where it cannot be written."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(OSError, UnicodeDecodeError):
        if path.read_text("utf-8") == page:
            return path
    try:
        try:
            half.write_text(page, "utf-8")
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            half.write_text(page, "utf-8")
        half.replace(path)
    except OSError as error:
        with suppress(OSError):
            half.unlink(missing_ok=True)
        raise PlatformError(f"the report {path} cannot be written: {error.strerror or error}") from error
    return path
