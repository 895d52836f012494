"""Handles of the library, freed once, in the right order, and never while a call uses them.

A Pointer frees what it points to when nothing refers to it any more. References are held by its Handle (until close),
by the Pointers opened on it (a session keeps its cluster), and by each running call, whose arguments ctypes keeps. So
closing while another thread is in a call frees when that call returns.
"""
from __future__ import annotations

import ctypes
import weakref
from typing import Any, Callable, Optional, TypeVar

from ._library import check
from .errors import SessionClosed

Self = TypeVar("Self", bound="Handle")


class Pointer(ctypes.c_void_p):
    """An opaque struct of the library, with the function that frees it and what must outlive it."""

    free: Callable[..., None]
    keep: tuple = ()

    def __del__(self) -> None:
        if self.value is not None:
            self.free(ctypes.c_void_p(self.value))


def opened(open_function: Callable[..., int], free: Callable[..., None], *arguments: Any, keep: tuple = ()) -> Pointer:
    """What an open function, whose out-parameter comes last, has opened."""
    pointer = Pointer()
    pointer.free = free
    pointer.keep = keep
    check(open_function(*arguments, ctypes.byref(pointer)))
    return pointer


class Handle:
    """What Cluster, Session, Operation, Queue and Config have in common: close, and `with`."""

    def __init__(self, pointer: Pointer) -> None:
        self._pointer: Optional[Pointer] = pointer
        # The garbage collector finalizes the parts of a cycle in any order. Held from outside, Pointers are never part
        # of one: they go when their last reference goes.
        self._held = weakref.finalize(self, _let_go, pointer)
        self._held.atexit = False

    @property
    def _handle(self) -> Pointer:
        pointer = self._pointer
        if pointer is None:
            raise SessionClosed(f"this {type(self).__name__} is closed")
        return pointer

    @property
    def closed(self) -> bool:
        return self._pointer is None

    def close(self) -> None:
        """Frees it; harmless when it is closed. What was opened on it stays usable and is to be closed, too."""
        self._held()
        self._pointer = None

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _let_go(_: Pointer) -> None:
    """The reference was all there was."""
