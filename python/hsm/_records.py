"""Structs that the library gives out, as dataclasses: fields of the same name, text decoded, lists and bytes copied.

A field with `"of": CLASS` in its metadata is an array of pointers to structs, counted by n_NAME.
"""
from __future__ import annotations

import ctypes
import dataclasses
from typing import Any, Callable, TypeVar

from ._library import check, read_text
from .errors import VersionMismatch

Record = TypeVar("Record")


def records(of: type) -> Any:
    """A field that is a list of records."""
    return dataclasses.field(metadata={"of": of})


def read_record(cls: type[Record], struct: ctypes.Structure) -> Record:
    if getattr(struct, "size", ctypes.sizeof(struct)) < ctypes.sizeof(struct):
        raise VersionMismatch("the libhsm that was loaded is older than this package: its structs are shorter")
    return cls(**{field.name: _read_field(field, struct) for field in dataclasses.fields(cls)})  # type: ignore


def _read_field(field: dataclasses.Field, struct: ctypes.Structure) -> Any:
    value = getattr(struct, field.name)
    of = field.metadata.get("of")
    if of:
        return [read_record(of, value[i].contents) for i in range(getattr(struct, f"n_{field.name}"))]
    if isinstance(value, ctypes.Array):
        return bytes(value)
    if isinstance(value, bytes):
        return read_text(value)
    if hasattr(struct, f"{field.name}_len"):
        return ctypes.string_at(value, getattr(struct, f"{field.name}_len")) if value else b""
    if field.type == "bool":
        return bool(value)
    return "" if value is None else value


def fetch(cls: type[Record], struct: type[ctypes.Structure], free: Callable[..., None], function: Callable[..., int],
          *arguments: Any) -> Record:
    """Calls a function whose out-parameter, a struct to be freed, comes last."""
    out = ctypes.POINTER(struct)()
    check(function(*arguments, ctypes.byref(out)))
    try:
        return read_record(cls, out.contents)
    finally:
        free(out)
