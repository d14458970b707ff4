"""One planned request: made, stored or compared, and noted in the log of fetches."""

from __future__ import annotations
