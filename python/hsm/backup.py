"""Backups of a cluster, and the recovery key that opens them: hsm/backup.h."""
from __future__ import annotations

import ctypes
import dataclasses
from typing import Optional, Sequence, Union

from . import constants
from ._handle import Handle
from ._library import Bytes, as_bytes, as_secret, as_text, check, lib
from ._records import fetch, read_record, records
from ._structures import BackupInfo as BackupInfoStruct
from ._structures import BackupList as BackupListStruct
from ._structures import Buffer


def recovery_key_make() -> bytes:
    """A fresh recovery key."""
    key = ctypes.create_string_buffer(constants.RECOVERY_KEY_LEN)
    check(lib.hsm_recovery_key_make(key))
    return key.raw


def recovery_key_split(key: Bytes, threshold: int, n: int) -> list[str]:
    """`n` shares, lines of text, of which `threshold` give the key back."""
    texts = ctypes.create_string_buffer(max(n, 1) * constants.RECOVERY_SHARE_MAX)
    check(lib.hsm_recovery_key_split(_as_key(key), threshold, n, texts))
    size = constants.RECOVERY_SHARE_MAX
    return [texts.raw[at:at + size].split(b"\0")[0].decode() for at in range(0, n * size, size)]


def recovery_key_join(shares: Sequence[str]) -> bytes:
    """The key, from shares in any order."""
    key = ctypes.create_string_buffer(constants.RECOVERY_KEY_LEN)
    texts = (ctypes.c_char_p * len(shares))(*map(as_text, shares))
    check(lib.hsm_recovery_key_join(texts, len(shares), key))
    return key.raw


def _as_key(key: Bytes) -> bytes:
    """C reads RECOVERY_KEY_LEN bytes, whatever it is given."""
    data = as_bytes(key)
    if len(data) != constants.RECOVERY_KEY_LEN:
        raise ValueError(f"a recovery key has {constants.RECOVERY_KEY_LEN} bytes, not {len(data)}")
    return data


@dataclasses.dataclass(frozen=True)
class BackupInfo:
    name: str
    created_ms: int
    revision: int
    n_records: int  # 0 in lists
    n_bytes: int  # in lists only


@dataclasses.dataclass(frozen=True)
class BackupList:
    backups: list[BackupInfo] = records(BackupInfo)


def _info() -> BackupInfoStruct:
    return BackupInfoStruct(size=ctypes.sizeof(BackupInfoStruct))


class Recovery(Handle):
    """The part of Cluster that begins and ends with the recovery key."""

    def activate_with_recovery(self, user: str, password: Union[str, Bytes], recovery_key: Optional[Bytes]) -> None:
        """Makes the first administrator; backups will be sealed under the recovery key (None: there are none)."""
        secret = as_secret(password)
        check(lib.hsm_cluster_activate_with_recovery(self._handle, as_text(user), secret, len(secret),
                                                     None if recovery_key is None else _as_key(recovery_key)))

    def restore(self, recovery_key: Bytes, name: Optional[str] = None, where: Optional[str] = None) -> tuple[BackupInfo, str]:
        """Makes a new cluster of a backup (default: the newest), on a fresh node's own socket: what was restored, and
        the node's certificate signing request."""
        info, csr = _info(), Buffer()
        check(lib.hsm_cluster_restore(self._handle, as_text(name), as_text(where), _as_key(recovery_key),
                                      ctypes.byref(info), ctypes.byref(csr)))
        try:
            return read_record(BackupInfo, info), ctypes.string_at(csr.data, csr.len).decode()
        finally:
            lib.hsm_buffer_free(ctypes.byref(csr))


class Backups(Handle):
    """The part of Session that makes and looks after backups. Administrators only."""

    def backup_create(self) -> BackupInfo:
        """Makes a backup at the destination of the node that answers. May take minutes."""
        info = _info()
        check(lib.hsm_backup_create(self._handle, ctypes.byref(info)))
        return read_record(BackupInfo, info)

    def backup_list(self) -> list[BackupInfo]:
        """All backups at the destination, oldest first."""
        return fetch(BackupList, BackupListStruct, lib.hsm_backup_list_free, lib.hsm_backup_list_all,
                     self._handle).backups

    def backup_verify(self, name: str) -> BackupInfo:
        """Reads a whole backup of this cluster and opens every part of it."""
        info = _info()
        check(lib.hsm_backup_verify(self._handle, as_text(name), ctypes.byref(info)))
        return read_record(BackupInfo, info)

    def backup_delete(self, name: str) -> None:
        """Deletes a backup."""
        check(lib.hsm_backup_delete(self._handle, as_text(name)))
