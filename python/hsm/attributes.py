"""Attributes of objects: dicts from HSM_ATTR_... numbers to Python values, to and from the library's arrays.

A template for a call is a dict, {hsm.ATTR_LABEL: "tls", hsm.ATTR_TOKEN: True}, or with names, {"label": "tls"}. Values
by their type (hsm_attribute_value_type): bool, int, bytes (text is encoded as UTF-8), str, a sequence of ints, or a
template.
"""
from __future__ import annotations

import ctypes
from typing import Any, Iterable, Mapping, Optional, Union

from . import catalog, constants
from ._handle import Pointer
from ._library import as_bytes, lib
from ._structures import Attribute
from .errors import AttributeTypeInvalid, AttributeValueInvalid

Template = Mapping[Union[int, str], Any]


class Attributes(dict):
    """Attributes that a call brought: numbers to values, in ascending order."""

    @property
    def label(self) -> str:
        return self.get(constants.ATTR_LABEL, b"").decode(errors="replace")

    def by_name(self) -> dict[str, Any]:
        """The same with names: {"LABEL": b"tls", ...}."""
        return {catalog.attribute_name(number) or str(number): value for number, value in self.items()}


def number_of(attribute: Union[int, str]) -> int:
    return catalog.attribute_by_name(attribute) if isinstance(attribute, str) else attribute


def _encode_bool(value: Any) -> bytes:
    if value not in (True, False):
        raise ValueError("True or False is expected")
    return bytes([value])


def _encode_uint(value: Any) -> bytes:
    return int.to_bytes(value, 8, _ORDER)


def _encode_bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else as_bytes(value)


def _encode_uints(value: Any) -> bytes:
    return b"".join(map(_encode_uint, value))


# The machine's byte order, as ctypes numbers have it.
_ORDER = "little" if bytes(ctypes.c_uint16(1)) == b"\1\0" else "big"

_ENCODERS = {
    constants.VALUE_BOOL: _encode_bool,
    constants.VALUE_UINT: _encode_uint,
    constants.VALUE_BYTES: _encode_bytes,
    constants.VALUE_TEXT: _encode_bytes,
    constants.VALUE_UINTS: _encode_uints,
}


class EncodedTemplate:
    """A template as the library takes it: `array` of `n`, and what the array points to."""

    def __init__(self, template: Optional[Template]) -> None:
        pairs = [(number_of(name), value) for name, value in (template or {}).items()]
        self.n = len(pairs)
        self.array = (Attribute * max(self.n, 1))()
        self._values = [self._encode(row, number, value) for row, (number, value) in zip(self.array, pairs)]

    def _encode(self, row: Attribute, number: int, value: Any) -> Any:
        row.type = number
        value_type = catalog.attribute_value_type(number)
        if not value_type:
            raise AttributeTypeInvalid(f"there is no attribute {number}")
        try:
            if value_type == constants.VALUE_TEMPLATE:
                nested = EncodedTemplate(value)
                row.value = ctypes.addressof(nested.array)
                row.value_len = nested.n * ctypes.sizeof(Attribute)
                return nested
            encoded = _ENCODERS[value_type](value)
        except (TypeError, ValueError, OverflowError, AttributeError) as cause:
            raise AttributeValueInvalid(f"attribute {catalog.attribute_name(number)}: {cause}") from cause
        row.value = ctypes.cast(encoded, ctypes.c_void_p).value
        row.value_len = len(encoded)
        return encoded


def encode_wanted(wanted: Iterable[Union[int, str]]) -> tuple[Optional[ctypes.Array], int]:
    """Attribute types for a call; none: all that are not secret."""
    numbers = [number_of(name) for name in wanted]
    return ((ctypes.c_uint32 * len(numbers))(*numbers) if numbers else None), len(numbers)


def _decode_uints(data: bytes) -> list[int]:
    return [int.from_bytes(data[at:at + 8], _ORDER) for at in range(0, len(data), 8)]


_DECODERS = {
    constants.VALUE_BOOL: lambda data: data != b"\0",
    constants.VALUE_UINT: lambda data: int.from_bytes(data, _ORDER),
    constants.VALUE_BYTES: bytes,
    constants.VALUE_TEXT: lambda data: data.decode(errors="replace"),
    constants.VALUE_UINTS: _decode_uints,
}


def _decode(attribute: Attribute) -> Any:
    value_type = catalog.attribute_value_type(attribute.type)
    if value_type == constants.VALUE_TEMPLATE:
        n = attribute.value_len // ctypes.sizeof(Attribute)
        rows = (Attribute * n).from_address(attribute.value) if n else ()
        return Attributes((row.type, _decode(row)) for row in rows)
    data = ctypes.string_at(attribute.value, attribute.value_len) if attribute.value_len else b""
    return _DECODERS.get(value_type, bytes)(data)


def read_attributes(pointer: Pointer) -> Attributes:
    """What an hsm_attributes holds."""
    rows = (lib.hsm_attributes_at(pointer, i).contents for i in range(lib.hsm_attributes_count(pointer)))
    return Attributes((row.type, _decode(row)) for row in rows)
