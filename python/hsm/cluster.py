"""The cluster as a client sees it: hsm/cluster.h. Open one per process and share it among threads."""
from __future__ import annotations

import dataclasses
from typing import Optional

from ._handle import Handle, opened
from ._library import as_text, check, lib
from ._records import fetch, records
from ._structures import ClusterInfo as ClusterInfoStruct
from ._structures import NodeDescription as NodeDescriptionStruct
from ._structures import Statistics as StatisticsStruct
from ._structures import UserList as UserListStruct
from .admin import NodeLife
from .backup import Recovery
from .quorum import Signers
from .config import Config, handle_of
from .queue import Queue
from .session import Session


@dataclasses.dataclass(frozen=True)
class NodeInfo:
    id: bytes
    name: str
    address: str  # URL that clients connect to
    zone: str
    state: str  # "approved", "serving", "draining", "failed", "away" or "unknown"
    certificate_hash: bytes  # SHA-256; b"" when not told
    version: str  # of the node's program; "" when it is not there
    started_ms: int  # 0 when it is not there
    protocol_version: int  # newest that the node speaks
    key_generation: int  # newest masking key that the node has


@dataclasses.dataclass(frozen=True)
class ClusterInfo:
    id: bytes
    name: str
    state: str  # "initialized", or "active" once it has its first administrator
    revision: int  # of the store
    n_objects: int  # token objects in the cluster
    nodes: list[NodeInfo] = records(NodeInfo)


@dataclasses.dataclass(frozen=True)
class NodeFact:
    """A version or a metric of a node."""

    name: str
    value: str


@dataclasses.dataclass(frozen=True)
class MechanismInfo:
    """A mechanism that a node offers."""

    mechanism: int
    uses: int  # USE_... bits
    key_bits_min: int
    key_bits_max: int
    name: str


@dataclasses.dataclass(frozen=True)
class NodeDescription:
    id: bytes
    name: str
    address: str
    zone: str
    state: str
    time_ms: int  # the node's clock
    revision: int  # of the store, as the node knows it
    n_objects: int
    facts: list[NodeFact] = records(NodeFact)
    mechanisms: list[MechanismInfo] = records(MechanismInfo)


@dataclasses.dataclass(frozen=True)
class NodeStatistics:
    """What this process has seen of one node."""

    name: str  # or address, while the name is not known
    address: str
    zone: str
    healthy: bool  # False: its circuit is open, it gets only probes
    n_requests: int
    n_failures: int
    n_messages: int
    n_outstanding: int
    latency_us: int
    node_time_us: int


@dataclasses.dataclass(frozen=True)
class Statistics:
    n_requests: int
    n_retries: int  # sent again, to another node
    n_failures: int  # that callers saw
    nodes: list[NodeStatistics] = records(NodeStatistics)


@dataclasses.dataclass(frozen=True)
class UserInfo:
    name: str
    state: str  # "active", "locked"
    role: int
    created_ms: int


@dataclasses.dataclass(frozen=True)
class UserList:
    users: list[UserInfo] = records(UserInfo)


class Cluster(NodeLife, Recovery, Signers):
    """Connections to the nodes; every call is safe from any number of threads, and a child of fork may go on using it.

    Without `config` the settings come from the usual files and the environment. Opening does not reach the network.
    """

    def __init__(self, config: Optional[Config] = None) -> None:
        super().__init__(opened(lib.hsm_cluster_open, lib.hsm_cluster_close, handle_of(config)))

    @classmethod
    def endpoint(cls, url: str, config: Optional[Config] = None) -> Cluster:
        """Talks to one node alone: "ipc:///var/lib/hsmd/node.sock" for the life-cycle calls."""
        self = cls.__new__(cls)
        Handle.__init__(self, opened(lib.hsm_cluster_open_endpoint, lib.hsm_cluster_close, as_text(url),
                                     handle_of(config)))
        return self

    def session(self) -> Session:
        """Opens a session, without a login yet."""
        return Session(self)

    def queue(self) -> Queue:
        """Opens a queue, for many operations in flight from one thread."""
        return Queue(self)

    def ping(self) -> None:
        """Tells that a node is there."""
        check(lib.hsm_ping(self._handle))

    @property
    def revision(self) -> int:
        """Highest store revision that this process has seen: for `observe` in a process that is passed a key."""
        return lib.hsm_cluster_revision(self._handle)

    def observe(self, revision: int) -> None:
        lib.hsm_cluster_observe(self._handle, revision)

    def describe(self) -> ClusterInfo:
        """Asks any node for the cluster and its nodes."""
        return fetch(ClusterInfo, ClusterInfoStruct, lib.hsm_cluster_info_free, lib.hsm_cluster_describe, self._handle)

    def node_describe(self, node: Optional[str] = None) -> NodeDescription:
        """Asks one node (by name or address; None: any) for its state, versions, metrics and mechanisms."""
        return fetch(NodeDescription, NodeDescriptionStruct, lib.hsm_node_description_free, lib.hsm_node_describe,
                     self._handle, as_text(node))

    def statistics(self) -> Statistics:
        """Counts since the cluster was opened. Does not reach the network."""
        return fetch(Statistics, StatisticsStruct, lib.hsm_statistics_free, lib.hsm_cluster_statistics, self._handle)

    def user_list_all(self) -> list[UserInfo]:
        """All users, by name. Needs no login."""
        return fetch(UserList, UserListStruct, lib.hsm_user_list_free, lib.hsm_user_list_all, self._handle).users
