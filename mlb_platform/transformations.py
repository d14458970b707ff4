"""Generated transformations by name: `from mlb_platform.transformations import GameLiveV1Transformation`."""

from __future__ import annotations

from functools import cache

from mlb_platform.extraction.transformation import BaseTransformation, TransformMode, class_name, make_transformation
from mlb_platform.mapping.loader import MappingRegistry
from mlb_platform.settings import load_settings

__all__ = ["BaseTransformation", "TransformMode"]


@cache
def _generated() -> dict[str, type[BaseTransformation]]:
    mappings = MappingRegistry(load_settings().mappings).mappings
    return {class_name(m): make_transformation(m) for m in mappings.values()}


def __getattr__(name: str) -> type[BaseTransformation]:
    if not name.endswith("Transformation") or name not in _generated():
        known = ", ".join(_generated()) if name.endswith("Transformation") else "see the module's docstring"
        raise AttributeError(f"module {__name__!r} has no {name!r}; generated: {known}")
    return _generated()[name]


def __dir__() -> list[str]:
    return [*__all__, *_generated()]
