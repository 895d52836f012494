"""Logins: hsm/session.h. A Session is one login of one user and the home of its session objects."""
from __future__ import annotations

import ctypes
import dataclasses
from typing import TYPE_CHECKING, Union

from ._handle import Handle, opened
from ._library import Bytes, as_bytes, as_secret, as_text, check, lib, take
from ._records import read_record
from ._structures import LoginInfo as LoginInfoStruct
from .admin import Administration
from .backup import Backups
from .quorum import Quorum
from .crypto import CryptoCalls
from .keys import Key, ObjectCalls, make_key
from .reference import References

if TYPE_CHECKING:
    from .cluster import Cluster


@dataclasses.dataclass(frozen=True)
class LoginInfo:
    user: str  # "" when nobody is logged in, or the login was adopted from a ticket
    role: int  # ROLE_...; 0 when not known
    expires_ms: int  # milliseconds since 1970-01-01 UTC; use renews it; 0 when not known


class Session(ObjectCalls, CryptoCalls, Administration, Backups, Quorum, References):
    """Usable from any number of threads at once; survives the loss of nodes. Cluster.session opens one."""

    def __init__(self, cluster: Cluster) -> None:
        handle = cluster._handle
        Handle.__init__(self, opened(lib.hsm_session_open, lib.hsm_session_close, handle, keep=(handle,)))
        self.cluster = cluster

    def login(self, user: str, password: Union[str, Bytes]) -> None:
        """LoginFailed; UserLocked; ClusterState when the cluster is not active yet. The password is not kept."""
        secret = as_secret(password)
        check(lib.hsm_login(self._handle, as_text(user), secret, len(secret)))

    def login_kept(self, user: str, password: Union[str, Bytes]) -> None:
        """As login, but the password is kept in this process to log in again when the login expires; logout wipes it."""
        secret = as_secret(password)
        check(lib.hsm_login_kept(self._handle, as_text(user), secret, len(secret)))

    def login_signed(self, user: str, password: Union[str, Bytes], state: Bytes, signature: Bytes) -> None:
        """As login, with the signed challenge of Cluster.login_challenge."""
        secret, state, signature = as_secret(password), as_bytes(state), as_bytes(signature)
        check(lib.hsm_login_signed(self._handle, as_text(user), secret, len(secret), state, len(state), signature,
                                   len(signature)))

    def login_default(self) -> None:
        """Logs in with the configuration's user and password, and again by itself when the login expires."""
        check(lib.hsm_login_default(self._handle))

    def login_prepare(self) -> None:
        """Reads and keeps the configuration's user and password; the first call that needs it logs in, in each child of
        fork by itself. Does not reach the network."""
        check(lib.hsm_login_prepare(self._handle))

    def set_timeout(self, timeout_ms: int) -> None:
        """How long calls on this session may take, in place of the setting timeout-ms; 0: the setting."""
        check(lib.hsm_session_set_timeout(self._handle, timeout_ms))

    def authenticate(self, key: Key, password: Union[str, Bytes], state: Bytes = b"", signature: Bytes = b"") -> None:
        """The user's password for one use of a key whose ALWAYS_AUTHENTICATE is true, within two minutes; state and
        signature of Cluster.login_challenge for users with a second factor. LoginFailed; UserLocked."""
        secret, state, signature = as_secret(password), as_bytes(state), as_bytes(signature)
        if not state:
            check(lib.hsm_key_authenticate(self._handle, key, secret, len(secret)))
            return
        check(lib.hsm_key_authenticate_signed(self._handle, key, secret, len(secret), state, len(state), signature,
                                              len(signature)))

    def authenticate_default(self, key: Key) -> None:
        """The same with the configuration's password, when its user is the one who is logged in."""
        check(lib.hsm_key_authenticate_default(self._handle, key))

    def logout(self) -> None:
        """Ends the login on all nodes."""
        check(lib.hsm_logout(self._handle))

    def forget_login(self) -> None:
        """Forgets the login in this process alone: for a child of fork, whose parent keeps it."""
        check(lib.hsm_login_forget(self._handle))

    def login_info(self) -> LoginInfo:
        """Who is logged in. Does not reach the network."""
        info = LoginInfoStruct(size=ctypes.sizeof(LoginInfoStruct))
        check(lib.hsm_session_login_info(self._handle, ctypes.byref(info)))
        return read_record(LoginInfo, info)

    def ticket(self) -> bytes:
        """The login as bytes, for login_ticket in another process of the same user: as secret as a password."""
        return take(lib.hsm_session_ticket, self._handle)

    def login_ticket(self, ticket: Bytes) -> None:
        """Adopts a login; a bad ticket shows at the first use as TicketExpired."""
        ticket = as_bytes(ticket)
        check(lib.hsm_login_ticket(self._handle, ticket, len(ticket)))

    def export_object(self, key: Key) -> bytes:
        """A session object in its sealed form, so that another process sharing the login can use it."""
        return take(lib.hsm_session_export_object, self._handle, key)

    def forget_object(self, key: Key) -> None:
        """A session object is gone, unless it was exported; ObjectNotFound when it is none of this session's."""
        check(lib.hsm_session_forget_object(self._handle, key))

    def import_object(self, sealed: Bytes) -> Key:
        """Takes in what export_object gave out: the same key."""
        sealed = as_bytes(sealed)
        return make_key(lib.hsm_session_import_object, self._handle, sealed, len(sealed))
