"""Figures as people read them."""

from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal
from typing import Any


def number(value: Any) -> str:
    """Return a figure as people read it: thousands apart, four digits that count."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 10_000_000_000 else f"{value:.4g}"
    if isinstance(value, float | Decimal):
        plain = float(value)
        if not math.isfinite(plain) or (plain and not 1e-4 <= abs(plain) < 1e9):
            return f"{plain:.4g}"
        digits = max(0, 3 - math.floor(math.log10(abs(plain)))) if plain else 0
        text = f"{plain:,.{digits}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return value.isoformat() if isinstance(value, date) else str(value)


def percent(share: float) -> str:
    """Return a share in percent that is 100 only when all of it is there, and 0 only when nothing is."""
    text = f"{share * 100:.1f}".removesuffix(".0")
    if text == "100" and share < 1:
        return "> 99.9"
    return "< 0.1" if text == "0" and share > 0 else text
