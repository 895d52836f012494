"""Quorum: what M of N people must approve before it is done: hsm/quorum.h."""
from __future__ import annotations

import ctypes
import dataclasses
from typing import Optional

from . import constants
from ._handle import Handle
from ._library import Bytes, as_bytes, as_id, as_text, check, lib
from ._records import fetch, records
from ._structures import Buffer
from ._structures import Key as KeyStruct
from ._structures import QuorumList as QuorumListStruct
from .keys import Key


def _text(buffer: Buffer) -> bytes:
    try:
        return ctypes.string_at(buffer.data, buffer.len)
    finally:
        lib.hsm_buffer_free(ctypes.byref(buffer))


@dataclasses.dataclass(frozen=True)
class QuorumToken:
    id: bytes
    key: bytes  # zero for administrators' services
    service: str
    requester: str
    approvers: str  # names, separated by commas
    n_uses_left: int
    expires_ms: int


@dataclasses.dataclass(frozen=True)
class QuorumPolicy:
    service: str
    m: int  # how many must approve; 0: nobody
    n_signers: int  # administrators who could


@dataclasses.dataclass(frozen=True)
class QuorumList:
    tokens: list[QuorumToken] = records(QuorumToken)
    policies: list[QuorumPolicy] = records(QuorumPolicy)


class Signers(Handle):
    """The part of Cluster about keys for approvals."""

    def login_challenge(self, user: str) -> tuple[bytes, bytes]:
        """What a user with a second factor signs, and what goes with the signature into Session.login_signed."""
        text, state = Buffer(), Buffer()
        check(lib.hsm_login_challenge(self._handle, as_text(user), ctypes.byref(text), ctypes.byref(state)))
        return _text(text), _text(state)

    def signer_text(self, user: str, public_key: Bytes) -> bytes:
        """What the private key signs to prove that it is there; the public key is a SubjectPublicKeyInfo."""
        data, text = as_bytes(public_key), Buffer()
        check(lib.hsm_user_signer_text(self._handle, as_text(user), data, len(data), ctypes.byref(text)))
        return _text(text)


class Quorum(Handle):
    """The part of Session that requests, approves and spends tokens."""

    def user_set_signer(self, user: str, public_key: Optional[Bytes], signature: Bytes = b"", flags: int = 0) -> None:
        """Registers one's own key for approvals, or (None) takes one away. SIGNER_SECOND_FACTOR: also to log in."""
        key, signature = None if public_key is None else as_bytes(public_key), as_bytes(signature)
        check(lib.hsm_user_set_signer(self._handle, as_text(user), key, len(key or b""), signature, len(signature),
                                      flags))

    def quorum_request(self, service: str, key: Optional[Key] = None, n_uses: int = 1) -> tuple[bytes, bytes]:
        """A token and the text that approvers sign."""
        token, text = ctypes.create_string_buffer(constants.ID_LEN), Buffer()
        own = None if key is None else ctypes.byref(KeyStruct.from_buffer_copy(key.id))
        check(lib.hsm_quorum_request(self._handle, as_text(service), own, n_uses, token, ctypes.byref(text)))
        return token.raw, _text(text)

    def quorum_approve(self, token: Bytes, signer: str, signature: Bytes) -> tuple[int, int]:
        """Hands in a signature: how many approve by now, and how many must."""
        signature, n_approvals, n_needed = as_bytes(signature), ctypes.c_uint32(), ctypes.c_uint32()
        check(lib.hsm_quorum_approve(self._handle, as_id(token), as_text(signer), signature, len(signature),
                                     ctypes.byref(n_approvals), ctypes.byref(n_needed)))
        return n_approvals.value, n_needed.value

    def set_quorum_token(self, token: Optional[Bytes]) -> None:
        """The session's calls spend this token from now on, where a quorum is needed."""
        check(lib.hsm_session_set_quorum_token(self._handle, None if token is None else as_id(token)))

    def quorum_cancel(self, token: Bytes) -> None:
        """Cancels a token: its requester, or an administrator."""
        check(lib.hsm_quorum_cancel(self._handle, as_id(token)))

    def quorum_set(self, service: str, m: int) -> None:
        """How many administrators must approve what belongs to "user", "quorum" or "cluster"; 0: nobody."""
        check(lib.hsm_quorum_set(self._handle, as_text(service), m))

    def quorum_list(self) -> QuorumList:
        """Tokens that have not expired, and the administrators' policy."""
        return fetch(QuorumList, QuorumListStruct, lib.hsm_quorum_list_free, lib.hsm_quorum_list_all, self._handle)
