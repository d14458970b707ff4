"""The page of a quality report: what it says, that it needs nothing beside it, and that no value can break it."""

from __future__ import annotations

import random
import re
from datetime import date, timedelta
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pytest
from helpers import SMALL, mapping_of

from mlb_platform.quality.figures import number, percent
from mlb_platform.quality.profile import DataProfile
from mlb_platform.quality.profile_arrow import profile_table
from mlb_platform.quality.report import Report, render, render_stub, report_name, report_path, save
from mlb_platform.quality.results import RuleResult
from resources.errors import PlatformError

TARGET = mapping_of(SMALL).by_name["small.plays"]
NASTY = "<script>alert('x')</script> & \"quoted\" ]]> é"


def profile(**columns: Any) -> DataProfile:
    return profile_table(pa.table({name: pa.array(values) for name, values in columns.items()}))


def page(**parts: Any) -> str:
    return render(Report(TARGET, "2024-05-01", 7, "the Delta lake", **parts))


def plot(text: str, column: str) -> tuple[list[ElementTree.Element], list[str]]:
    """Return the bars of a column's plot and what each says."""
    row = text.split(f'id="column-{column}"')[1].split("</tr>")[0]
    found = [ElementTree.fromstring(svg) for svg in re.findall(r'<svg class="plot".*?</svg>', row, re.DOTALL)]
    bars = [e for svg in found for e in svg.iter("rect")]
    return bars, [str(t.text) for svg in found for t in svg.iter("title")]


def test_a_histogram_has_a_bar_for_each_part_as_high_as_its_count() -> None:
    """Heights are in the proportion of the counts; every bar says from where to where and how many."""
    r = random.Random(1)
    found = profile(speed=[r.gauss(90, 4) for _ in range(500)])
    bars, told = plot(page(profile=found), "speed")
    counts = [b.count for b in found["speed"].histogram]
    assert len(bars) == len(counts)
    heights = [float(b.attrib["height"]) for b in bars]
    most = max(counts)
    assert all(h == pytest.approx(52 * n / most, abs=1.0) for h, n in zip(heights, counts, strict=True))
    assert sum(int(t.rsplit(": ", 1)[1].replace(",", "")) for t in told if "to" in t and ": " in t) == 500
    assert any(t.startswith("quartiles and median") for t in told)


def test_top_values_have_bars_and_the_rest_is_counted() -> None:
    """The six most frequent with their share, then how many more."""
    values = [v for i, v in enumerate("abcdefgh") for _ in range(20 - i)]
    text = page(profile=profile(event=values))
    bars, told = plot(text, "event")
    assert len(bars) == 6 and told[0] == f"a: 20 ({percent(20 / len(values))} %)"
    assert "2 more values: 27" in text
    widths = [float(b.attrib["width"]) for b in bars]
    assert widths == sorted(widths, reverse=True) and widths[1] / widths[0] == pytest.approx(19 / 20, abs=0.01)


def test_every_part_is_told_and_no_value_breaks_the_page() -> None:
    """Failed, skipped and kept rules, samples, a broken contract, columns without values; everything is escaped."""
    rules = [
        RuleResult("kept", "range", "warn", 7, 0),
        RuleResult("looked_elsewhere", "reference", "warn", 0, 0, skipped="needs k.other, which was not given"),
        RuleResult(NASTY, "expression", "error", 7, 2, [{"note": NASTY, "n": None, "x": Decimal("1.50")}]),
    ]
    found = profile(note=[NASTY, NASTY, "b"], nothing=pa.array([None] * 3, pa.string()), one=["same"] * 3)
    text = page(profile=found, rules=rules, contract=[f"column {NASTY} is missing"], suggestions=[])
    assert "<script" not in text and "alert(&#39;x&#39;)" in text
    assert re.search(r'class="badge failed" id="verdict">failed<', text)
    plain = unescape(re.sub(r"<[^>]*>", " ", text))
    assert "n = NULL, x = 1.50" in plain and "needs k.other" in plain and f"column {NASTY} is missing" in plain
    assert "1 rule that every row keeps" in plain and "no value" in plain and "same" in plain
    assert text.index("looked_elsewhere") < text.index("that every row keeps")
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(svg)
    assert not re.search(r'(src|href)="(?!#)', text), "the page needs nothing beside it"


@pytest.mark.parametrize(
    ("rules", "contract", "verdict"),
    [
        (None, None, "profiled"),
        ([RuleResult("a", "range", "warn", 7, 0)], [], "passed"),
        ([RuleResult("a", "range", "warn", 7, 1)], [], "warned"),
        ([RuleResult("a", "range", "error", 7, 1)], [], "failed"),
        ([], ["column x is missing"], "failed"),
    ],
)
def test_the_verdict(rules: Any, contract: Any, verdict: str) -> None:
    """An error rule or the contract fails a table, a warning warns; parts that were not asked for are not there."""
    text = page(rules=rules, contract=contract)
    assert f'id="verdict">{verdict}<' in text
    assert ('id="rules"' in text) == (rules is not None) and 'id="columns"' not in text


@pytest.mark.parametrize(
    ("start", "end", "name", "options"),
    [
        (None, None, "all", ""),
        (date(2024, 7, 1), date(2024, 7, 1), "2024-07-01", " --date 2024-07-01"),
        (date(2024, 7, 1), date(2024, 7, 3), "2024-07-01_2024-07-03", " --from 2024-07-01 --to 2024-07-03"),
        (date(2024, 7, 1), None, "2024-07-01_last", " --from 2024-07-01"),
        (None, date(2024, 7, 1), "first_2024-07-01", " --to 2024-07-01"),
    ],
)
def test_names_and_the_command_that_makes_it_anew(
    start: date | None, end: date | None, name: str, options: str, tmp_path: Path
) -> None:
    """Each range has a file of its own, and says how to get it again, also where it was not made."""
    assert report_name(start, end) == name
    assert report_path(tmp_path, "small.plays", name) == tmp_path / "small.plays" / f"{name}.html"
    report = Report(TARGET, name, 0, "")
    assert report.command == f"mlb quality report small.plays{options}"
    stub = render_stub(TARGET, name, "there was no time")
    assert report.command in stub and "there was no time" in stub


def test_pages_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """A folder that cannot be made is told in one line."""
    path = save(tmp_path / "a" / "b.html", "page")
    assert path.read_text("utf-8") == "page" and [p.name for p in path.parent.iterdir()] == ["b.html"]
    with pytest.raises(PlatformError, match=r"the report .*c\.html cannot be written: "):
        save(path / "c.html", "page")


def test_a_page_that_is_there_as_it_is_to_be_is_left(tmp_path: Path) -> None:
    path = save(tmp_path / "b.html", "page")
    written = path.stat().st_ino
    save(path, "page")
    assert path.stat().st_ino == written, "a page is written beside its place and moved there"
    save(path, "another")
    assert path.read_text("utf-8") == "another"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567, "1,234,567"), (0.5, "0.5"), (Decimal("95.40"), "95.4"), (0, "0"), (0.0, "0"), (100.0, "100"),
        (1e-7, "1e-07"), (True, "true"), (None, ""), (date(2024, 7, 1), "2024-07-01"), (89.123456, "89.12"),
    ],
)  # fmt: skip
def test_figures_are_short(value: Any, text: str) -> None:
    """Four digits that count, thousands apart."""
    assert number(value) == text


def test_percents_never_round_to_all_or_nothing() -> None:
    """One value missing in a million is not 100 %."""
    assert [percent(s) for s in (0, 1e-6, 0.123, 0.5, 0.999999, 1)] == ["0", "< 0.1", "12.3", "50", "> 99.9", "100"]


def test_dates_and_times_are_drawn_too() -> None:
    """A bar a part of the time."""
    days = [date(2024, 7, 1) + timedelta(days=i % 10) for i in range(100)]
    bars, told = plot(page(profile=profile(day=days)), "day")
    assert len(bars) == 10 and told[0] == "2024-07-01 to below 2024-07-02: 10"
