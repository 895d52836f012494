"""libhsm for Python: keys held by a cluster of HSM nodes, never by the application.

    import hsm

    with hsm.Cluster() as cluster, cluster.session() as session:
        session.login_default()
        key = session.find_one("tls", hsm.CLASS_PRIVATE_KEY)
        signature = session.sign(key, hsm.Mechanism(hsm.MECHANISM_ECDSA, hash=hsm.HASH_SHA256), b"hello")

The package is the C API (hsm/*.h, the manual) in Python's manner: a function hsm_key_generate(session, ...) is
Session.key_generate(...), a constant HSM_CLASS_DATA is hsm.CLASS_DATA, a status HSM_OBJECT_NOT_FOUND is raised as
hsm.ObjectNotFound. Calls are safe from any number of threads, and other threads run while one waits for a node.
"""
from . import catalog
from ._version import __version__
from .admin import AuditEntry, AuditPage
from .backup import BackupInfo, BackupList, recovery_key_join, recovery_key_make, recovery_key_split
from .attributes import Attributes, Template
from .catalog import *  # noqa: F403
from .cluster import (Cluster, ClusterInfo, MechanismInfo, NodeDescription, NodeFact, NodeInfo, NodeStatistics,
                      Statistics, UserInfo)
from .config import Config, settings
from .constants import *  # noqa: F403
from .crypto import Ciphertext, Mechanism, Operation, digest
from .errors import *  # noqa: F403
from .keys import Key
from .quorum import QuorumList, QuorumPolicy, QuorumToken
from .queue import Completion, Queue
from .reference import Reference
from .session import LoginInfo, Session
