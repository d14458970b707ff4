"""What a check of a mapping says: where in the file, what is wrong and what to do, and how bad it is."""

from __future__ import annotations

from typing import Literal

Location = tuple[str | int, ...]
Level = Literal["error", "warning"]
Finding = tuple[Location, str, Level]
