"""The life of a cluster and of its nodes, users, and the audit log: hsm/admin.h and hsm/user.h.

Cluster has the calls of NodeLife, most of them for the node's own socket (Cluster.endpoint); Session those of
Administration. Certificates and requests are PEM text.
"""
from __future__ import annotations

import ctypes
import dataclasses
from typing import Any, Iterator, Optional, Union

from . import constants
from ._handle import Handle
from ._library import Bytes, as_bytes, as_id, as_secret, as_text, check, lib
from ._records import fetch, read_record, records
from ._structures import AuditPage as AuditPageStruct
from ._structures import Buffer
from ._structures import TrustAnchorList as TrustAnchorListStruct
from ._structures import MaskingKeyInfo as MaskingKeyInfoStruct


def _take_buffers(function: Any, *arguments: Any, n: int = 1) -> list[bytes]:
    """Calls a function whose last `n` out-parameters are buffers."""
    buffers = [Buffer() for _ in range(n)]
    try:
        check(function(*arguments, *map(ctypes.byref, buffers)))
        return [ctypes.string_at(buffer.data, buffer.len) if buffer.len else b"" for buffer in buffers]
    finally:
        for buffer in buffers:
            lib.hsm_buffer_free(ctypes.byref(buffer))


@dataclasses.dataclass(frozen=True)
class MaskingKeyInfo:
    generation: int
    phase: str  # "none", "sealing", "checking", "grace"
    n_done: int
    n_total: int
    retire_ms: int
    worker_id: bytes
    n_damaged: int
    n_given_up: int


@dataclasses.dataclass(frozen=True)
class TrustAnchorInfo:
    hash: bytes  # SHA-256 of its certificate
    name: str
    until_ms: int  # end of its validity


@dataclasses.dataclass(frozen=True)
class TrustAnchorList:
    anchors: list[TrustAnchorInfo] = records(TrustAnchorInfo)


class NodeLife(Handle):
    """The part of Cluster that makes clusters and nodes: create, have the CA sign, initialize, activate, users."""

    def create(self, name: str) -> str:
        """Makes a new cluster with this node as its first member: its certificate signing request."""
        return _take_buffers(lib.hsm_cluster_create, self._handle, as_text(name))[0].decode()

    def initialize(self, certificate_pem: str, ca_certificate_pem: str) -> None:
        """Installs the first node's signed certificate and the CA's."""
        check(lib.hsm_cluster_initialize(self._handle, as_text(certificate_pem), as_text(ca_certificate_pem)))

    def activate(self, user: str, password: Union[str, Bytes]) -> None:
        """Makes the first administrator; works once in a cluster's life."""
        secret = as_secret(password)
        check(lib.hsm_cluster_activate(self._handle, as_text(user), secret, len(secret)))

    def migrate_store(self, target: str) -> int:
        """Moves the cluster to the store "etcd" or "sqlite:PATH": how many records were moved."""
        n_records = ctypes.c_uint64()
        check(lib.hsm_cluster_migrate_store(self._handle, as_text(target), ctypes.byref(n_records)))
        return n_records.value

    def node_csr(self) -> tuple[str, str]:
        """Certificate signing request and state of a node that is to join."""
        csr, state = _take_buffers(lib.hsm_node_csr, self._handle, n=2)
        return csr.decode(), state.decode()

    def node_admit(self, certificate_pem: str, ca_certificate_pem: str, handover: Bytes) -> None:
        """Makes a node a member, with what Session.node_approve gave."""
        handover = as_bytes(handover)
        check(lib.hsm_node_admit(self._handle, as_text(certificate_pem), as_text(ca_certificate_pem), handover,
                                 len(handover)))

    def node_renew(self, certificate_pem: str) -> None:
        """Gives the node a new certificate for its key."""
        check(lib.hsm_node_renew(self._handle, as_text(certificate_pem)))

    def node_drain(self, drain: bool = True) -> None:
        """The node takes no new requests and finishes those at hand; False: it serves again."""
        check(lib.hsm_node_drain(self._handle, drain))


    def trust_anchor_list(self) -> list[TrustAnchorInfo]:
        """CAs of clients besides the cluster's own. Needs no login."""
        return fetch(TrustAnchorList, TrustAnchorListStruct, lib.hsm_trust_anchor_list_free,
                     lib.hsm_trust_anchor_list_all, self._handle).anchors

    def masking_key(self) -> MaskingKeyInfo:
        """The masking key's number, and how far its replacement is. Needs no login."""
        info = MaskingKeyInfoStruct(size=ctypes.sizeof(MaskingKeyInfoStruct))
        check(lib.hsm_cluster_masking_key(self._handle, ctypes.byref(info)))
        return read_record(MaskingKeyInfo, info)


@dataclasses.dataclass(frozen=True)
class AuditEntry:
    """An entry of a node's audit log. Each carries the hash of the one before."""

    sequence: int
    time_ms: int
    operation: str
    user: str  # "" when nobody was logged in
    object: bytes
    has_object: bool
    status: int
    detail: str
    hash: bytes
    previous_hash: bytes


@dataclasses.dataclass(frozen=True)
class AuditPage:
    n_total: int
    entries: list[AuditEntry] = records(AuditEntry)


class Administration(Handle):
    """The part of Session that administers users and nodes and reads the audit log."""

    def user_create(self, name: str, password: Union[str, Bytes], role: int) -> None:
        """Makes a user: ROLE_ADMIN, ROLE_USER or ROLE_AUDITOR. Administrators only."""
        secret = as_secret(password)
        check(lib.hsm_user_create(self._handle, as_text(name), secret, len(secret), role))

    def user_delete(self, name: str) -> None:
        """Deletes a user; its logins end everywhere at once. Administrators only."""
        check(lib.hsm_user_delete(self._handle, as_text(name)))

    def user_change_password(self, name: str, old_password: Union[str, Bytes, None],
                             new_password: Union[str, Bytes]) -> None:
        """Changes one's own password, or (old_password None) resets another's, which also unlocks."""
        old = None if old_password is None else as_secret(old_password)
        new = as_secret(new_password)
        check(lib.hsm_user_change_password(self._handle, as_text(name), old, len(old or b""), new, len(new)))

    def trust_anchor_add(self, certificate_pem: str) -> bytes:
        """Clients may have certificates of this CA too: SHA-256 of its certificate. Administrators only."""
        hash = ctypes.create_string_buffer(constants.CERTIFICATE_HASH_LEN)
        check(lib.hsm_trust_anchor_add(self._handle, as_text(certificate_pem), hash))
        return hash.raw

    def trust_anchor_remove(self, hash: Bytes) -> None:
        """Certificates of this CA are refused from the next connection on. Administrators only."""
        hash = as_bytes(hash)
        if len(hash) != constants.CERTIFICATE_HASH_LEN:
            raise ValueError(f"a hash has {constants.CERTIFICATE_HASH_LEN} bytes, not {len(hash)}")
        check(lib.hsm_trust_anchor_remove(self._handle, hash))

    def rotate_key(self, grace_s: int = 86400) -> int:
        """Begins to replace the masking key: the number of the new one. Administrators only."""
        generation = ctypes.c_uint32()
        check(lib.hsm_cluster_rotate_key(self._handle, grace_s, ctypes.byref(generation)))
        return generation.value

    def give_up_damaged(self, n: int) -> None:
        """The replacement of the masking key may end without the n_damaged records. Administrators only."""
        check(lib.hsm_cluster_give_up_damaged(self._handle, n))

    def node_approve(self, certificate_pem: str) -> bytes:
        """Admits the node with this certificate: the handover for its node_admit. Administrators only."""
        return _take_buffers(lib.hsm_node_approve, self._handle, as_text(certificate_pem))[0]

    def node_remove(self, node_id: Bytes) -> None:
        """Takes a node out of the cluster. Administrators only."""
        check(lib.hsm_node_remove(self._handle, as_id(node_id)))

    def audit_read(self, node_id: Optional[Bytes] = None, sequence: int = 0, limit: int = 0) -> AuditPage:
        """One page of a node's audit log, from entry `sequence` on. Administrators and auditors."""
        identifier = None if node_id is None else as_id(node_id)
        return fetch(AuditPage, AuditPageStruct, lib.hsm_audit_page_free, lib.hsm_audit_read, self._handle, identifier,
                     sequence, limit)

    def audit_checkpoint(self, node_id: Optional[Bytes] = None) -> tuple[bytes, bytes, bytes]:
        """How far a node's audit log reaches now: text, signature over it, certificate (PEM) of the node that signed."""
        identifier = None if node_id is None else as_id(node_id)
        text, signature, certificate = _take_buffers(lib.hsm_audit_checkpoint, self._handle, identifier, n=3)
        return text, signature, certificate

    def audit(self, node_id: Bytes, sequence: int = 0) -> Iterator[AuditEntry]:
        """All entries of one node, page by page."""
        while entries := self.audit_read(node_id, sequence).entries:
            yield from entries
            sequence = entries[-1].sequence + 1
