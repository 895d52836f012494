"""Loads libhsm and calls it: the library that HSM_LIBRARY names, else libhsm.so.1 as the loader finds it.

It is loaded at the first call, so that importing the package needs no library. While a call runs in the library, other
Python threads go on. Every module of this package reaches C through `lib`, `check` and `take`.
"""
from __future__ import annotations

import ctypes
import functools
import os
from typing import Any, Optional, Union

from . import constants, errors
from ._prototypes import PROTOTYPES

NAME = "libhsm.so.1"

Bytes = Union[bytes, bytearray, memoryview]


class _Library:
    """The functions as attributes, each bound to its prototype when it is first used."""

    @functools.cached_property
    def _loaded(self) -> ctypes.CDLL:
        path = os.environ.get("HSM_LIBRARY") or NAME
        try:
            return ctypes.CDLL(path)
        except OSError as cause:
            raise ImportError(f"libhsm cannot be loaded: {cause}. Install it, or set HSM_LIBRARY to its path") from cause

    def __getattr__(self, name: str) -> Any:
        if name not in PROTOTYPES:
            raise AttributeError(name)
        result, *parameters = PROTOTYPES[name]
        try:
            function = getattr(self._loaded, name)
        except AttributeError as cause:
            raise ImportError(f"{self._loaded._name} has no {name}: it is older than this package "
                              f"({constants.VERSION_MAJOR}.{constants.VERSION_MINOR})") from cause
        function.restype, function.argtypes = result, parameters
        setattr(self, name, function)
        return function


lib = _Library()


def last_error(status: int) -> errors.Error:
    """The exception for what the calling thread's last call returned."""
    last = lib.hsm_last_error().contents
    if last.status != status:
        return errors.error_of(status)
    return errors.error_of(status, read_text(last.detail), read_text(last.node), read_text(last.operation))


def check(status: int) -> None:
    if status:
        raise last_error(status)


def read_text(text: Optional[bytes]) -> str:
    return text.decode(errors="replace") if text else ""


def as_text(text: Optional[str]) -> Optional[bytes]:
    """For a TEXT parameter. C would take a NUL for the end of it."""
    if text is None:
        return None
    encoded = text.encode()
    if b"\0" in encoded:
        raise ValueError("text for libhsm has a NUL in it")
    return encoded


def as_bytes(data: Bytes) -> bytes:
    """For a DATA parameter: copied only when it is not bytes already."""
    return data if isinstance(data, bytes) else memoryview(data).tobytes()


def as_secret(password: Union[str, Bytes]) -> bytes:
    return password.encode() if isinstance(password, str) else as_bytes(password)


def as_id(identifier: Bytes) -> bytes:
    """C reads ID_LEN bytes, whatever it is given."""
    data = as_bytes(identifier)
    if len(data) != constants.ID_LEN:
        raise ValueError(f"an id has {constants.ID_LEN} bytes, not {len(data)}")
    return data


def room_for(length: int) -> ctypes.Array:
    """A buffer of at least this length. Few sizes, because each size is a ctypes type."""
    return _room_type(max(length - 1, 255).bit_length())()


@functools.lru_cache(maxsize=None)
def _room_type(bits: int) -> type[ctypes.Array]:
    return ctypes.c_char * (1 << bits)


def take(function: Any, *arguments: Any, room: int = 1024, behind: tuple = ()) -> bytes:
    """Calls a function that ends in `out, out_len` (and `behind`): asks again when there was too little room."""
    length = ctypes.c_size_t(room - 1)
    while True:
        buffer = room_for(length.value + 1)  # text has a NUL behind what out_len counts
        length.value = ctypes.sizeof(buffer)
        status = function(*arguments, buffer, ctypes.byref(length), *behind)
        if not status:
            return ctypes.string_at(buffer, length.value)
        if status != constants.BUFFER_TOO_SMALL or length.value < ctypes.sizeof(buffer):
            raise last_error(status)
