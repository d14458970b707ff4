"""The figures of a run as Markdown: targets, and for every workload a table and its chart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
_PARTS = ("read and parse", "tables", "compute", "walk", "postgres", "delta", "merge", "other")
_ABOUT = {
    "season": "All games into empty tables; the usual Spark jobs run with parts of it: two are scaled by the line "
    "through both, one is not scaled.",
    "date": "Fifteen games with a warm session: into empty tables, and after a newer capture of every game.",
    "cold": "`mlb materialize` in a fresh process, and the same step by step in another.",
    "unchanged": "Dates whose captures have not changed, brought up again: by the command, which finds nothing to do, "
    "and as the UI does it, every date recorded and judged again.",
    "corrected": "One of a date's fifteen games has a newer capture.",
    "live": "From a raw row's commit to visible rows in PostgreSQL, the warm-up not counted.",
    "growth": "Through Dagster in a process of its own.",
    "lake": "Tables after daily merges: files, and a date's queries in both engines, before compaction and after.",
    "dagster": "What the daemon waits for.",
}


def put_into(page: str, text: str) -> str:
    """Return a page with a text between the two marks, in the place of what stood there.

    Raises:
        ValueError: the page has no such marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{text.strip()}\n{END}{after}"


def section(result: Mapping[str, Any], charts: Sequence[str], images: str = "images/performance") -> str:
    """Return the targets of a run, and for each of the workloads in `charts` its figures and its chart."""
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    where = f"{machine['cores']} cores, {machine['memory_gib']} GiB, Python {machine['python']}"
    load = max((w["load_before"] for w in result["workloads"].values()), default=0.0)
    lines = [
        f"Figures of {result['at'].partition('T')[0]}, size `{result['size']}`, medians: {where}, {versions}; "
        f"load average at most {load:g} before a workload.",
        "", *_targets(result["targets"]),
    ]  # fmt: skip
    for name in charts:
        found = result["workloads"][name]
        parts = (f"### {name.capitalize()}", _ABOUT[name], *_tables(found), f"![{name}]({images}/{name}.svg)")
        lines += ["", "\n\n".join(part for part in parts if part)]
    return "\n".join(lines)


def _targets(targets: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "| workload | what | measured | target | |"
    yield "|---|---|---|---|---|"
    for t in targets:
        if t["value"] is not None:
            unit = f" {t['unit']}" if t["unit"] else ""
            aim = f"at {'most' if t['at_most'] else 'least'} {t['limit']:g}{unit}"
            verdict = "reached" if t["passed"] else "missed"
            yield f"| {t['workload']} | {t['what']} | {t['value']:.2f}{unit} | {aim} | {verdict} |"


def _tables(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield a table of medians, a column a contender, and one of what was measured once."""
    contenders = list(found["median"])
    names = sorted(dict.fromkeys(name for phases in found["median"].values() for name in phases), key=_place)
    if contenders:
        lines = [f"| seconds | {' | '.join(contenders)} |", f"|---|{'---|' * len(contenders)}"]
        for name in names:
            cells = [found["median"][c].get(name) for c in contenders]
            lines.append(f"| {name} | {' | '.join('' if x is None else f'{x:.2f}' for x in cells)} |")
        yield "\n".join(lines)
    if found["facts"]:
        lines = ["| | |", "|---|---|", *(f"| {name} | {_number(value)} |" for name, value in found["facts"].items())]
        yield "\n".join(lines)


def _place(name: str) -> int:
    """Return where a phase stands in a table: whole runs, their processor seconds, then what they are made of."""
    return 2 if name in _PARTS else 1 if name.startswith("CPU") else 0


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.2f}".removesuffix("0").removesuffix(".0")
