"""Dagster's records as JSON that its event log keeps, the same as Dagster's own, in a quarter of the time.

Dagster asks of each value by a dozen tests what it is. Here that is known by its class, and what is often the same (a
key, a count) is not taken apart twice. Whatever has rules of its own is left to Dagster, and what orjson cannot write
(no finite number, one of more than 64 bits) to Python's json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, lru_cache
from math import isfinite
from typing import Any

import orjson
from dagster import AssetKey, MetadataValue
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.definitions.dependency import NodeHandle
from dagster._core.definitions.metadata import MetadataFieldSerializer
from dagster._core.execution.plan.handle import StepHandle
from dagster_shared.serdes.serdes import _WHITELIST_MAP, ObjectSerializer, pack_value

_PLAIN = {int, str, bool, type(None)}
_OFTEN_THE_SAME = (AssetKey, MetadataValue, AssetCheckEvaluationTargetMaterializationData, NodeHandle, StepHandle)
_REMEMBERED = 8192


class _NotFinite(float):
    """Refused by orjson, which would write null, and not by json."""


def serialized(record: Any) -> str:
    """Return a record as the JSON of Dagster's `serialize_value`, without its spaces."""
    packed = _packed(record)
    try:
        return orjson.dumps(packed, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # orjson's own error is one
        return json.dumps(packed, sort_keys=True)


def _packed(value: Any) -> Any:
    kind: Any = type(value)
    if kind in _PLAIN:
        return value
    if kind is float:
        return value if isfinite(value) else _NotFinite(value)
    if kind is dict:
        return {key: _packed(inner) for key, inner in value.items()}
    if kind is list:
        return [_packed(inner) for inner in value]
    if _serializer(kind) is None:
        return pack_value(value)
    if issubclass(kind, _OFTEN_THE_SAME):
        try:
            return _known_record(kind, value)
        except TypeError:  # what is in it cannot be a key
            pass
    return _record(kind, value)


@cache
def _serializer(kind: Any) -> ObjectSerializer[Any] | None:
    """Return how Dagster takes a record apart; None for what is none."""
    is_record = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return _WHITELIST_MAP.object_serializers.get(kind.__name__) if is_record else None


@lru_cache(_REMEMBERED)
def _known_record(kind: Any, value: Any) -> dict[str, Any]:
    """Return a record taken apart; nobody may change it. The class is part of what is known: 1 is 1.0 and True."""
    return _record(kind, value)


def _record(kind: type, value: Any) -> dict[str, Any]:
    how = _serializer(kind)
    assert how is not None
    found: dict[str, Any] = {"__class__": how.get_storage_name()}
    members: Mapping[str, Any] = how.object_as_mapping(how.before_pack(value))
    for name, inner in members.items():
        own = how.field_serializers.get(name)
        if own is None:
            packed = _packed(inner)
        elif type(own) is MetadataFieldSerializer:
            packed = [_metadata_entry(label, entry) for label, entry in inner.items()]
        else:
            packed = pack_value(own.pack(inner, whitelist_map=_WHITELIST_MAP, descent_path=name))
        empty = name in how.skip_when_empty_fields and packed in ([], {}, None)
        if not empty and not (name in how.skip_when_none_fields and packed is None):
            found[how.storage_field_names.get(name, name)] = packed
    return {**found, **how.old_fields}


def _metadata_entry(label: str, value: Any) -> dict[str, Any]:
    return {"__class__": "EventMetadataEntry", "label": label, "entry_data": _packed(value), "description": None}
