"""What `mlb quality` prints: a profile, a judgement, suggestions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlb_platform.cli.console import grid, many, say, show_table

if TYPE_CHECKING:
    from mlb_platform.quality.profile import ColumnProfile, DataProfile
    from mlb_platform.quality.results import RuleResult, ValidationResult
    from mlb_platform.quality.suggestions import Suggestion

_CELL = 24
"""Longer texts are cut in a table."""


def print_profile(found: DataProfile) -> None:
    """Print a line a column."""
    from rich.markup import escape

    from mlb_platform.quality.figures import number, percent
    from mlb_platform.quality.suggestions_said import is_id

    table = grid(
        "column", "type", "filled %", "distinct", "min", "median", "max", "mean", "most frequent",
        right=["filled %", "distinct", "mean"],
    )  # fmt: skip
    for c in found.columns:
        middle = number(c.quantiles[0.5]) if 0.5 in c.quantiles else ""
        type_ = c.type if c.inferred is None else f"{c.type} ({c.inferred.type}?)"
        cells = [
            c.name, type_, percent(c.completeness), number(c.distinct), _cut(number(c.min)), middle,
            _cut(number(c.max)), "" if is_id(c.name) else number(c.mean), _frequent(c),
        ]  # fmt: skip
        table.add_row(*[escape(cell) for cell in cells])
    show_table(table)
    say(f"{many(len(found.columns), 'column')}, {percent(found.completeness)} % of the cells have a value", "dim")


def _frequent(c: ColumnProfile) -> str:
    if not c.top or c.top[0][1] == 1:
        return ""
    return ", ".join(f"{_cut(text)} ({n:,})" for text, n in c.top[:2])


def _cut(text: str) -> str:
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"


def print_validation(found: ValidationResult) -> None:
    """Print every rule, then the rows that break some, then the contract, and the verdict last."""
    from rich.markup import escape

    from mlb_platform.quality.report import sample_text

    table = grid("", "rule", "kind", "severity", "checked", "failed", right=["checked", "failed"])
    for r in sorted(found.rules, key=lambda r: (r.passed, r.skipped is not None, r.severity)):
        style = None if r.passed else "red" if r.severity == "error" else "yellow"
        mark = "-" if r.skipped else "✓" if r.passed else "✗" if r.severity == "error" else "!"
        name = f"{r.rule} (skipped: {r.skipped})" if r.skipped else r.rule
        cells = [mark, name, r.kind, r.severity, f"{r.checked:,}", f"{r.failed:,}"]
        table.add_row(*[escape(cell) for cell in cells], style=style)
    show_table(table)
    for r in found.failed():
        say(f"{r.rule}: {r.failed:,} of {r.checked:,} rows, such as")
        for row in r.samples:
            say(f"  {sample_text(row)}")
    for breach in found.contract:
        say(f"contract: {breach}", "red")
    _print_verdict(found)


def _print_verdict(found: ValidationResult) -> None:
    broken = list(found.failed())
    errors = sum(r.severity == "error" for r in broken)
    skipped = sum(r.skipped is not None for r in found.rules)
    text = f"{many(len(found.rules) - skipped, 'rule')} judged: {_counted(broken, errors)}"
    text += f", {skipped} skipped" if skipped else ""
    text += f"; contract: {many(len(found.contract), 'column')} not as the mapping says" if found.contract else ""
    say(text, "green" if found.passed else "red")


def _counted(broken: Sequence[RuleResult], errors: int) -> str:
    if not broken:
        return "no row breaks one"
    return f"{errors} broken of severity error, {len(broken) - errors} of severity warn"


def print_suggestions(found: Sequence[Suggestion]) -> None:
    """Print suggestions as lines for the mapping file, by their place in it, the surest first; evidence as comments."""
    from mlb_platform.quality.figures import percent

    for place, told in {"target": "", "field": "fields:", "data_quality": "data_quality:"}.items():
        here = [s for s in found if s.place == place]
        if told and here:
            say(told, "bold")
        for s in here:
            indent = "  " if told else ""
            say(f"{indent}# {percent(s.confidence)} %: {s.evidence}", "yellow" if s.tentative else "dim")
            say(f"{indent}{s.yaml}")
    unsure = sum(s.tentative for s in found)
    more = f", {unsure} of them from so little that it may be chance" if unsure else ""
    say(f"# {many(len(found), 'suggestion')}{more}")
