"""Names and facts of the numbers in constants: hsm/catalog.h. Reading a name ignores case and takes dashes for
underscores; an unknown name is InvalidArgument, whose detail has the nearest ones. Nothing here reaches the network."""
from __future__ import annotations

import ctypes
from typing import Any, Callable, Optional

from ._library import Bytes, as_bytes, as_text, check, lib, read_text

__all__ = [
    "class_name", "key_type_name", "hash_name", "curve_name", "mechanism_name", "attribute_name", "role_name",
    "class_by_name", "key_type_by_name", "hash_by_name", "curve_by_name", "mechanism_by_name", "attribute_by_name",
    "role_by_name", "hash_len", "attribute_value_type", "mechanism_key_type", "mechanism_uses", "curve_bits",
    "curve_key_type", "attribute_doc", "mechanism_doc", "status_name", "status_text", "curve_oid", "curve_by_oid",
    "version",
]


def _text(function: str, doc: str) -> Callable[[int], Optional[str]]:
    def read(number: int) -> Optional[str]:
        text = getattr(lib, function)(number)
        return None if text is None else read_text(text)

    return _documented(read, function, doc)


def _number(function: str, doc: str) -> Callable[[int], int]:
    def read(number: int) -> int:
        return getattr(lib, function)(number)

    return _documented(read, function, doc)


def _by_name(function: str, doc: str) -> Callable[[str], int]:
    def read(name: str) -> int:
        number = ctypes.c_uint32()
        check(getattr(lib, function)(as_text(name), ctypes.byref(number)))
        return number.value

    return _documented(read, function, doc)


def _documented(read: Any, function: str, doc: str) -> Any:
    read.__name__ = read.__qualname__ = function[len("hsm_"):]
    read.__doc__ = doc
    return read


class_name = _text("hsm_class_name", "\"PRIVATE_KEY\"; None when the number is unknown.")
key_type_name = _text("hsm_key_type_name", "\"EC\"; None when the number is unknown.")
hash_name = _text("hsm_hash_name", "\"SHA256\"; None when the number is unknown.")
curve_name = _text("hsm_curve_name", "\"P256\"; None when the number is unknown.")
mechanism_name = _text("hsm_mechanism_name", "\"AES_GCM\"; None when the number is unknown.")
attribute_name = _text("hsm_attribute_name", "\"LABEL\"; None when the number is unknown.")
role_name = _text("hsm_role_name", "\"admin\", \"crypto-user\", \"auditor\"; None when the number is unknown.")

class_by_name = _by_name("hsm_class_by_name", "CLASS_... of a name.")
key_type_by_name = _by_name("hsm_key_type_by_name", "KEY_TYPE_... of a name.")
hash_by_name = _by_name("hsm_hash_by_name", "HASH_... of a name.")
curve_by_name = _by_name("hsm_curve_by_name", "CURVE_... of a name.")
mechanism_by_name = _by_name("hsm_mechanism_by_name", "MECHANISM_... of a name.")
attribute_by_name = _by_name("hsm_attribute_by_name", "ATTR_... of a name.")
role_by_name = _by_name("hsm_role_by_name", "ROLE_... of a name.")

hash_len = _number("hsm_hash_len", "Length of a hash's digest in bytes; 0 when unknown.")
attribute_value_type = _number("hsm_attribute_value_type", "VALUE_... of an attribute; 0 when unknown.")
mechanism_key_type = _number("hsm_mechanism_key_type", "KEY_TYPE_... that a mechanism is for; 0 when unknown.")
mechanism_uses = _number("hsm_mechanism_uses", "USE_... bits of a mechanism; 0 when unknown.")
curve_bits = _number("hsm_curve_bits", "Size of a curve in bits; 0 when unknown.")
curve_key_type = _number("hsm_curve_key_type", "KEY_TYPE_... of a curve's keys; 0 when unknown.")

attribute_doc = _text("hsm_attribute_doc", "One line about an attribute; None when it is unknown.")
mechanism_doc = _text("hsm_mechanism_doc", "One line about a mechanism; None when it is unknown.")
status_name = _text("hsm_status_name", "\"OBJECT_NOT_FOUND\"; \"UNKNOWN\" for a number that is none.")
status_text = _text("hsm_status_text", "One sentence about a status.")


def curve_oid(curve: int) -> Optional[bytes]:
    """The DER object identifier of a curve, as ATTR_EC_PARAMS takes it; None when the curve is unknown."""
    length = ctypes.c_size_t()
    oid = lib.hsm_curve_oid(curve, ctypes.byref(length))
    return ctypes.string_at(oid, length.value) if oid else None


def curve_by_oid(oid: Bytes) -> int:
    """CURVE_... with this DER object identifier; 0 when there is none."""
    data = as_bytes(oid)
    return lib.hsm_curve_by_oid(data, len(data))


def version() -> str:
    """Version of the library that runs."""
    return read_text(lib.hsm_version())
