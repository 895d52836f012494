"""Key references: hsm/reference.h. Files that name a private key of the cluster and hold its public key."""
from __future__ import annotations

import ctypes
from typing import Callable, Union

from ._handle import Handle, Pointer, opened
from ._library import Bytes, as_bytes, check, lib, read_text
from ._structures import Buffer
from .keys import Key


class Reference(Handle):
    """A key reference. Session.key_reference makes one; nothing else here reaches the network."""

    def __init__(self, data: Union[str, Bytes]) -> None:
        """Reads PEM or DER; in PEM, whatever stands around the reference is skipped. InvalidArgument; VersionMismatch
        when it is of a newer kind."""
        encoded = data.encode() if isinstance(data, str) else as_bytes(data)
        super().__init__(opened(lib.hsm_reference_parse, lib.hsm_reference_free, encoded, len(encoded)))

    @classmethod
    def _of(cls, pointer: Pointer) -> Reference:
        self = cls.__new__(cls)
        Handle.__init__(self, pointer)
        return self

    def __copy__(self) -> Reference:
        return self._of(opened(lib.hsm_reference_copy, lib.hsm_reference_free, self._handle))

    @property
    def key(self) -> Key:
        return Key(bytes(lib.hsm_reference_key(self._handle)))

    @property
    def cluster_id(self) -> bytes:
        """As ClusterInfo.id."""
        handle = self._handle
        return ctypes.string_at(lib.hsm_reference_cluster_id(handle), len(self.key.id))

    @property
    def public_key_info(self) -> bytes:
        """The public key: SubjectPublicKeyInfo DER."""
        handle, length = self._handle, ctypes.c_size_t()
        return ctypes.string_at(lib.hsm_reference_public_key_info(handle, ctypes.byref(length)), length.value)

    @property
    def label(self) -> str:
        """For people; "" when it has none."""
        return read_text(lib.hsm_reference_label(self._handle))

    def der(self) -> bytes:
        return self._take(lib.hsm_reference_der)

    def pem(self) -> str:
        return self._take(lib.hsm_reference_pem).decode()

    def _take(self, function: Callable[..., int]) -> bytes:
        buffer = Buffer()
        check(function(self._handle, ctypes.byref(buffer)))
        try:
            return ctypes.string_at(buffer.data, buffer.len)
        finally:
            lib.hsm_buffer_free(ctypes.byref(buffer))


class References(Handle):
    """The part of Session that makes key references."""

    def key_reference(self, key: Key) -> Reference:
        """Of a private key that is a token object. InvalidArgument for others."""
        return Reference._of(opened(lib.hsm_reference_make, lib.hsm_reference_free, self._handle, key, None))
