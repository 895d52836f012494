"""Nodes and clients of protocol version N and N+1 together: a rolling upgrade, under load, and the way back as long as not all
nodes are new."""
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import hsm
from fixture.cluster import Cluster

NEXT = Path(os.environ["HSM_BUILD"]) / "tests/next"
CMAC = hsm.Mechanism(hsm.MECHANISM_AES_CMAC)
MESSAGE = b"what is signed"

# What a client of the next version does, in a process of its own: this one has loaded libhsm as it is.
NEW_CLIENT = """
import sys, hsm
session = hsm.Cluster(hsm.Config(sys.argv[1])).session()
session.login(sys.argv[2], open(sys.argv[3]).read())
key = session.find_one("key")
print(session.sign(key, hsm.Mechanism(hsm.MECHANISM_AES_CMAC), b"what is signed").hex())
session.key_generate_aes("by a new client")
"""


def session_of(cluster):
    session = hsm.Cluster(hsm.Config(cluster.config)).session()
    session.login(cluster.USER, cluster.password(cluster.USER))
    return session


def new_client(cluster):
    environment = {**os.environ, "HSM_LIBRARY": str(NEXT / "libhsm_next.so"), "PYTHONPATH": os.pathsep.join(sys.path),
                   "LD_PRELOAD": os.environ.get("HSM_SANITIZER_RUNTIME", "")}
    done = subprocess.run([sys.executable, "-c", NEW_CLIENT, cluster.config, cluster.USER, cluster.passwords[cluster.USER]],
                          env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return bytes.fromhex(done.stdout.strip())


def versions(cluster):
    return {node.name: node.protocol_version for node in hsm.Cluster(hsm.Config(cluster.config)).describe().nodes}


def of_cluster(cluster, node):
    facts = {fact.name: fact.value for fact in hsm.Cluster(hsm.Config(cluster.config)).node_describe(node).facts}
    return int(facts["protocol-version-of-cluster"])


def exchange(cluster, node, program):
    """As an operator upgrades: drain, stop, install, start, wait."""
    cluster.run("node", "drain", "--endpoint", node.socket)
    node.stop()
    node.program = program
    node.start().wait_ready(listening=True)


@pytest.fixture
def cluster(tmp_path):
    with Cluster(3, folder=tmp_path / "cluster") as made:
        yield made


def test_a_rolling_upgrade_under_load(cluster):
    session = session_of(cluster)
    key = session.key_generate_aes("key")
    mac = session.sign(key, CMAC, MESSAGE)
    stopping, errors, done = threading.Event(), [], [0]

    def load():
        try:
            own = session_of(cluster)
            while not stopping.is_set():
                assert own.sign(key, CMAC, MESSAGE) == mac
                own.object_delete(own.key_generate_aes("passing"))
                done[0] += 1
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for n_new, node in enumerate(cluster.nodes, 1):
            exchange(cluster, node, NEXT / "hsmd_next")
            assert new_client(cluster) == mac
            assert session_of(cluster).sign(key, CMAC, MESSAGE) == mac
            assert sorted(versions(cluster).values()) == [1] * (3 - n_new) + [2] * n_new
            # Whatever one node gives a client to hold, all must be able to take.
            for other in cluster.nodes[:n_new]:
                wait_until(lambda: of_cluster(cluster, other.name) == (2 if n_new == 3 else 1))
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    assert not errors, errors
    assert done[0] > 0
    assert new_client(cluster) == mac
    cluster.run("audit", "verify", user=cluster.ADMIN)


def wait_until(what):
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.05)


def test_the_way_back_while_not_all_are_new(cluster):
    session = session_of(cluster)
    key = session.key_generate_aes("key")
    mac = session.sign(key, CMAC, MESSAGE)
    old = cluster.nodes[0].program
    for node in cluster.nodes[:2]:
        exchange(cluster, node, NEXT / "hsmd_next")
    made = session.key_generate_aes("meanwhile")
    other = session.sign(made, CMAC, MESSAGE)
    for node in cluster.nodes[:2]:
        exchange(cluster, node, old)
    assert set(versions(cluster).values()) == {1}
    for fresh in (session, session_of(cluster)):
        assert fresh.sign(key, CMAC, MESSAGE) == mac
        assert fresh.sign(made, CMAC, MESSAGE) == other
