"""What commands print: tables and lines on stdout, progress on stderr; plain text where nobody looks at a terminal."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

WIDE = 200
"""Columns of text that goes to a file or a pipe."""
READABLE = 16
"""Characters of text that a column is given at least, where it has as many."""


def stdout() -> Console:
    """Return the console of results."""
    return _console(sys.stdout)


def stderr() -> Console:
    """Return the console of progress and notes."""
    return _console(sys.stderr)


def _console(file: Any) -> Console:
    from rich.console import Console

    given = os.environ.get("COLUMNS", "")
    width = int(given) if given.isdecimal() and int(given) else None if file.isatty() else WIDE
    others = {name: value for name, value in os.environ.items() if name != "COLUMNS"}  # Rich takes 0 for a width
    return Console(file=file, width=width, highlight=False, soft_wrap=False, emoji=False, _environ=others)


def say(text: str = "", style: str | None = None) -> None:
    """Print a line on stdout, never wrapped or read as markup."""
    stdout().print(text, style=style, markup=False, soft_wrap=True)


def note(text: str, style: str | None = "dim") -> None:
    """Print a line on stderr, never wrapped or read as markup."""
    stderr().print(text, style=style, markup=False, soft_wrap=True)


def grid(*columns: str, right: Sequence[str] = (), dense: bool = False) -> Table:
    """Return a table to fill: headings, those of `right` with their values to the right; `dense` wastes no space."""
    from rich import box
    from rich.table import Table

    table = Table(box=None if dense else box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for name in columns:
        numeric = name in right
        table.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=numeric)
    return table


def show_table(table: Table) -> None:
    """Print a table on stdout: side by side where whole numbers and readable text fit, else record by record."""
    console = stdout()
    gap = 2 * len(table.columns)
    needed = 0
    for column in table.columns:
        found = [console.measure(cell).maximum for cell in (column.header, *column.cells)]
        column.min_width = max(found) if column.no_wrap else min(max(found), READABLE)
        needed += column.min_width
    if needed + gap <= console.width or not table.row_count:
        console.print(table)
        return
    for number, cells in enumerate(zip(*(column.cells for column in table.columns), strict=True), 1):
        record = grid("", "", dense=True)
        record.show_header = False
        record.columns[0].no_wrap = True
        for column, cell in zip(table.columns, cells, strict=True):
            record.add_row(column.header, cell)
        console.print(f"record {number}", style="dim")
        console.print(record)


class Progress:
    """A bar on a terminal; elsewhere a line every fifteen seconds. `update` may be called as often as one likes."""

    def __init__(self, what: str, unit: str, total: int | None = None) -> None:
        """`unit` is what is counted, in the plural; `total` may come later."""
        self.what, self.unit, self.total = what, unit, total
        self.done = 0
        self.text = ""
        self.started = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        self._over = threading.Event()

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            columns = [TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn()]
            columns += [TextColumn(f"{self.unit} {{task.fields[text]}}", markup=False), TimeElapsedColumn()]
            self._bar = Bar(*columns, console=stderr(), transient=True)
            self._task = self._bar.add_task(self.what, total=self.total, text="")
            self._bar.start()
        else:
            threading.Thread(target=self._beat, daemon=True).start()
        return self

    def update(self, done: int | None = None, text: str | None = None, total: int | None = None) -> None:
        """Say how far it is."""
        self.done = self.done if done is None else done
        self.text = self.text if text is None else text
        self.total = self.total if total is None else total
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, total=self.total, text=self.text)

    def _beat(self) -> None:
        while not self._over.wait(15):
            of = "" if self.total is None else f" of {self.total}"
            count = f"{self.done}{of} {self.unit} " if self.unit else ""
            note(f"{self.what}: {count}{self.text}, {self.seconds:.0f} s")

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def quiet_java(log: Path) -> Iterator[None]:
    """Send what child processes (the Java of Spark) write on stderr to the file `log`; our own stderr stays."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    ours, saved = os.dup(2), sys.stderr
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)
    if _is_descriptor_2(saved):
        sys.stderr = os.fdopen(ours, "w", buffering=1, closefd=False)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(ours, 2)
        sys.stderr = saved
        os.close(ours)


def _is_descriptor_2(stream: Any) -> bool:
    try:
        return bool(stream.fileno() == 2)
    except (OSError, AttributeError):
        return False


def many(count: int, noun: str) -> str:
    """Return a count with its noun: `1 game`, `1,200 games`, `2 series`."""
    return f"{count:,} {noun}{'' if count == 1 or noun.endswith('s') else 's'}"
