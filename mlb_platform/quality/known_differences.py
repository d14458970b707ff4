"""Differences that the source itself has: a data file with a reason by game, so that a new one is a finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlb_platform.mapping.loader import LOADER
from mlb_platform.quality.reconciliation_rules import RULES
from resources.errors import PlatformError

DIFFERENCES = "known/differences.yaml"


@dataclass(frozen=True)
class KnownDifference:
    """What one side of a comparison says otherwise than the other in one game, and why."""

    rule: str
    """Rule and measure: pitching.doubles."""
    game_pk: int
    subject: str
    expected: str | None
    actual: str | None
    reason: str

    def __str__(self) -> str:
        return f"{self.rule} of game {self.game_pk}, {self.subject}: expected {self.expected}, is {self.actual}"


class _Found(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rule: str = Field(pattern=r"^[a-z_]+\.[a-z_]+$")
    subject: str
    expected: str | None
    actual: str | None


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    game: int
    reason: str = Field(min_length=10)
    differences: list[_Found] = Field(min_length=1)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    games: list[_Entry] = Field(default_factory=list)


def known_differences(mappings: Path) -> Sequence[KnownDifference]:
    """Read the known differences of a folder of mappings; raise PlatformError that names file and entry."""
    path = mappings / DIFFERENCES
    if not path.is_file():
        return []
    try:
        games = _File.model_validate(yaml.load(path.read_text("utf-8"), Loader=LOADER) or {}).games
    except (yaml.YAMLError, ValidationError) as error:
        raise PlatformError(f"{path}: {' '.join(str(error).split())[:300]}") from error
    known = [
        KnownDifference(d.rule, entry.game, d.subject, d.expected, d.actual, entry.reason)
        for entry in games
        for d in entry.differences
    ]
    rules = {r.name for r in RULES}
    unknown = {str(k) for k in known if k.rule.split(".")[0] not in rules}
    if unknown:
        raise PlatformError(f"{path}: there is no such rule: {'; '.join(sorted(unknown))}")
    twice = {str(k) for k in known if known.count(k) > 1}
    if twice:
        raise PlatformError(f"{path}: listed twice: {'; '.join(sorted(twice))}")
    return known
