"""Reconciliation: what the tables say of a game twice is compared, rule by rule, and every difference is named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from mlb_platform.quality.known_differences import KnownDifference
from mlb_platform.quality.reconciliation_rules import FEED, LISTING, RULES, Rule
from resources.own_tables import table_exists
from resources.postgres import Connection, Postgres


@dataclass(frozen=True)
class Game:
    """A game of the dates asked for, and the date its results are shown under."""

    game_pk: int
    day: date
    complete: bool
    """Over, by playing it: not postponed, called off or forfeited."""


@dataclass(frozen=True)
class Difference:
    """Two sides that say different things of one subject of a game; `reason` where the source is known for it."""

    rule: str
    game: Game
    subject: str
    expected: str | None
    actual: str | None
    blocking: bool
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.rule} of game {self.game.game_pk}, {self.subject}: expected {self.expected}, is {self.actual}"


@dataclass(frozen=True)
class Compared:
    """One measure of one rule over one game: how many comparisons were made, and which differed."""

    rule: Rule
    measure: str
    game: Game
    comparisons: int
    differences: tuple[Difference, ...] = ()

    @property
    def name(self) -> str:
        """Rule and measure."""
        return f"{self.rule.name}.{self.measure}"


@dataclass
class Reconciled:
    """What came of reconciling some games."""

    compared: list[Compared] = field(default_factory=list)
    absent: dict[str, list[str]] = field(default_factory=dict)
    """Rules that could not be evaluated, and the tables that are not there for them."""
    games: dict[str, list[Game]] = field(default_factory=dict)
    """Games each rule looked at."""
    early: dict[str, list[Game]] = field(default_factory=dict)
    """Games whose other response is older than the end of the game, by rule: not compared."""
    unmatched: list[KnownDifference] = field(default_factory=list)
    """Known differences of games looked at that are no differences any more."""

    @property
    def differences(self) -> list[Difference]:
        """All differences, known ones included."""
        return [d for c in self.compared for d in c.differences]

    @property
    def unexplained(self) -> list[Difference]:
        """Differences that no known one explains."""
        return [d for d in self.differences if not d.reason]

    def of_rules(self, names: Collection[str]) -> Reconciled:
        """Return the part of some rules."""
        return Reconciled(
            [c for c in self.compared if c.rule.name in names],
            {n: tables for n, tables in self.absent.items() if n in names},
            {n: games for n, games in self.games.items() if n in names},
            {n: games for n, games in self.early.items() if n in names},
            [k for k in self.unmatched if k.rule.split(".")[0] in names],
        )

    def replaced(self, rules: Collection[str], games: Collection[int], later: Reconciled) -> Reconciled:
        """Return this with what is said of these games by these rules as `later` says it."""

        def kept(rule: str, game_pk: int) -> bool:
            return not (rule in rules and game_pk in games)

        def listed(name: str, mine: Sequence[Game], new: Sequence[Game]) -> list[Game]:
            return [*(g for g in mine if kept(name, g.game_pk)), *(g for g in new if not kept(name, g.game_pk))]

        return Reconciled(
            [c for c in self.compared if kept(c.rule.name, c.game.game_pk)] + later.compared,
            self.absent | later.absent,
            {n: listed(n, self.games.get(n, []), later.games.get(n, [])) for n in self.games | later.games},
            {n: listed(n, self.early.get(n, []), later.early.get(n, [])) for n in self.early | later.early},
            [k for k in self.unmatched if kept(k.rule.split(".")[0], k.game_pk)] + later.unmatched,
        )

    def by_date(self, dates: Iterable[date]) -> dict[date, Reconciled]:
        """Return the parts of dates; what is absent is so on all of them."""
        parts = {day: Reconciled(absent=self.absent) for day in dates}
        days = {g.game_pk: g.day for listed in (*self.games.values(), *self.early.values()) for g in listed}
        for c in self.compared:
            parts[c.game.day].compared.append(c)
        for name, listed in self.games.items():
            for g in listed:
                parts[g.day].games.setdefault(name, []).append(g)
        for name, listed in self.early.items():
            for g in listed:
                parts[g.day].early.setdefault(name, []).append(g)
        for k in self.unmatched:
            parts[days[k.game_pk]].unmatched.append(k)
        return parts


def reconcile(
    postgres: Postgres,
    rules: Iterable[Rule] = RULES,
    *,
    dates: Sequence[date] | None = None,
    games: Sequence[int] | None = None,
    known: Sequence[KnownDifference] = (),
    dated_by: str = FEED,
) -> Reconciled:
    """Compare by every rule the games of these dates, these games, or all (None); one statement a rule.

    `dated_by` says whose dates they are: the feed's, or those of the schedule's current listings.
    """
    with postgres.transaction() as connection:
        return reconcile_in(connection, rules, dates=dates, games=games, known=known, dated_by=dated_by)


def reconcile_in(
    connection: Connection,
    rules: Iterable[Rule] = RULES,
    *,
    dates: Sequence[date] | None = None,
    games: Sequence[int] | None = None,
    known: Sequence[KnownDifference] = (),
    dated_by: str = FEED,
) -> Reconciled:
    """Compare as `reconcile` does, as a part of a transaction."""
    found = Reconciled()
    # The planner cannot estimate what the facts hold: loops over them would be quadratic.
    connection.execute("SET LOCAL enable_nestloop = off")
    connection.execute("SET LOCAL jit = off")
    there: dict[str, bool] = {}
    chosen = _games(connection, dates, games, dated_by, there)
    for rule in rules:
        absent = [t for t in rule.needs if not _exists(connection, t, there)]
        if absent:
            found.absent[rule.name] = absent
            continue
        eligible = [g for g in chosen if g.complete or rule.live]
        if rule.other is not None:
            eligible, found.early[rule.name] = _late_enough(connection, rule.other, eligible)
        found.games[rule.name] = eligible
        if eligible:
            found.compared += _compare(connection, rule, eligible, known)
    seen = {(d.rule, d.game.game_pk, d.subject, d.expected, d.actual) for d in found.differences}
    looked_at = {(name, g.game_pk) for name, listed in found.games.items() for g in listed}
    found.unmatched = [
        k
        for k in known
        if (k.rule.split(".")[0], k.game_pk) in looked_at
        and (k.rule, k.game_pk, k.subject, k.expected, k.actual) not in seen
    ]
    return found


def _exists(connection: Connection, table: str, there: dict[str, bool]) -> bool:
    if table not in there:
        there[table] = table_exists(connection, table)
    return there[table]


def _games(
    connection: Connection,
    dates: Sequence[date] | None,
    games: Sequence[int] | None,
    dated_by: str,
    there: dict[str, bool],
) -> list[Game]:
    tables = ["game.live_game_metadata", *(["schedule.current_games"] if dated_by == LISTING else [])]
    if not all(_exists(connection, t, there) for t in tables):
        return []
    values = {"dates": None if dates is None else list(dates), "games": None if games is None else list(games)}
    return [Game(*row) for row in connection.execute((_LISTED if dated_by == LISTING else _PLAYED).encode(), values)]


_OVER = "coalesce(m.abstract_game_state = 'Final' AND m.coded_game_state IN ('F', 'O'), false)"
_WITHIN = """(%(dates)s::date[] IS NULL OR {day} = ANY(%(dates)s))
    AND (%(games)s::bigint[] IS NULL OR m.game_pk = ANY(%(games)s)) ORDER BY 2, 1"""
_PLAYED = f"SELECT m.game_pk, m.game_date, {_OVER} FROM game.live_game_metadata m WHERE " + _WITHIN.format(
    day="m.game_date"
)
_LISTED = f"""SELECT m.game_pk, s.schedule_date, {_OVER} FROM schedule.current_games s
    JOIN game.live_game_metadata m USING (game_pk) WHERE """ + _WITHIN.format(day="s.schedule_date")


def _late_enough(connection: Connection, table: str, games: Sequence[Game]) -> tuple[list[Game], list[Game]]:
    """Return the games that a response of another kind knows the end of, and those it was captured too early for."""
    pks = [g.game_pk for g in games]
    states: dict[int, bool] = dict(
        connection.execute(_OBSERVED.format(table=table).encode(), {"games": pks, "table": table})
    )
    ended = {g: states[g.game_pk] for g in games if g.game_pk in states}
    return [g for g, late in ended.items() if late], [g for g, late in ended.items() if not late]


_OBSERVED = """
SELECT o.game_pk, coalesce(o.observed_at >= p.ended_at, true)
FROM (SELECT t.game_pk, coalesce(max(s.observed_at), max(t.source_captured_at)) AS observed_at
      FROM {table} t LEFT JOIN quality.merge_state s
           ON s.sink = 'postgres' AND s.table_name = %(table)s AND s.scope = t.game_pk::text
      WHERE t.game_pk = ANY(%(games)s) GROUP BY 1) o
LEFT JOIN (SELECT game_pk, max(end_time) AS ended_at FROM game.live_game_plays WHERE game_pk = ANY(%(games)s)
           GROUP BY 1) p USING (game_pk)
"""


def _compare(
    connection: Connection, rule: Rule, games: Sequence[Game], known: Sequence[KnownDifference]
) -> list[Compared]:
    by_pk = {g.game_pk: g for g in games}
    reasons = {(k.rule, k.game_pk, k.subject, k.expected, k.actual): k.reason for k in known if k.game_pk in by_pk}
    rows = connection.execute(_COUNTED.format(sql=rule.sql).encode(), {"games": list(by_pk)})
    result = []
    for game_pk, measure, comparisons, differing in rows:
        name, game = f"{rule.name}.{measure}", by_pk[game_pk]
        differences = tuple(
            Difference(
                name, game, subject, expected, actual, rule.blocks(measure) and game.complete,
                reasons.get((name, game_pk, subject, expected, actual), ""),
            )
            for subject, expected, actual in sorted(differing or (), key=lambda d: str(d[0]))
        )  # fmt: skip
        result.append(Compared(rule, measure, game, comparisons, differences))
    return result


_COUNTED = """
SELECT game_pk, measure, count(*),
       jsonb_agg(jsonb_build_array(subject, expected, actual)) FILTER (WHERE expected IS DISTINCT FROM actual)
FROM ({sql}) compared GROUP BY 1, 2 ORDER BY 1, 2
"""


def by_rule(found: Reconciled, *, by_measure: bool = True) -> list[dict[str, Any]]:
    """Return a row a rule, or a rule and measure: games, comparisons, mismatches (known ones not counted) and known."""
    rows: dict[str, dict[str, Any]] = {}
    counted: dict[str, set[int]] = defaultdict(set)
    for c in found.compared:
        name = c.name if by_measure else c.rule.name
        row = rows.setdefault(name, {"rule": name, "games": 0, "comparisons": 0, "mismatches": 0, "known": 0})
        counted[name].add(c.game.game_pk)
        row["games"] = len(counted[name])
        row["comparisons"] += c.comparisons
        row["known"] += sum(bool(d.reason) for d in c.differences)
        row["mismatches"] += sum(not d.reason for d in c.differences)
    return list(rows.values())


def dates_between(postgres: Postgres, start: date | None, end: date | None) -> list[date]:
    """Return the dates with games of a range, either end of which may be open."""
    with postgres.transaction() as connection:
        if not _exists(connection, "game.live_game_metadata", {}):
            return []
        rows = connection.execute(
            "SELECT DISTINCT game_date FROM game.live_game_metadata "
            "WHERE (%(start)s::date IS NULL OR game_date >= %(start)s) "
            "AND (%(end)s::date IS NULL OR game_date <= %(end)s) "
            "ORDER BY 1",
            {"start": start, "end": end},
        )
        return [row[0] for row in rows]
