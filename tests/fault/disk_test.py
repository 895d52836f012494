"""Disks that fill up or refuse writes under a node: existing keys go on working, changes are refused with the cause, nothing
that was acknowledged is lost. Each node runs in a mount namespace of its own, with a small disk for its store."""
import os
import subprocess

import pytest

import hsm
from fixture.cluster import Cluster

ECDSA = hsm.Mechanism(hsm.MECHANISM_ECDSA, hash=hsm.HASH_SHA256)


def as_root():
    return [] if os.geteuid() == 0 else ["--map-root-user"]


def enter(node, *command):
    """Runs a command where the node lives."""
    options = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    subprocess.run(["nsenter", "--mount", "--root", *options, "--target", str(node.process.pid), *map(str, command)], check=True)


def on_disk(folder, command):
    """A cluster of one node whose store lies in a folder that `command` prepares."""
    disk = folder / "disk"
    disk.mkdir()
    cluster = Cluster(1, folder=folder / "cluster", settings={"store": f"sqlite:{disk}/store.db"})
    cluster.node_wrapper = ["unshare", "--mount", *as_root(), "sh", "-c", f'{command} && exec "$@"', str(disk)]
    return cluster


@pytest.fixture
def small(tmp_path):
    with on_disk(tmp_path, 'mount -t tmpfs -o size=2m none "$0"') as made:
        yield made


def open_session(cluster):
    config = hsm.Config(cluster.config)
    client = hsm.Cluster(config)
    session = client.session()
    session.login(cluster.USER, cluster.password(cluster.USER))
    return session


def fill(session):
    """Makes objects until the node refuses; what was acknowledged, and the refusal."""
    acknowledged = []
    with pytest.raises(hsm.Error) as refused:
        while len(acknowledged) < 2000:
            acknowledged.append(session.object_create({"CLASS": hsm.CLASS_DATA, "LABEL": f"d{len(acknowledged)}",
                                                       "TOKEN": True, "VALUE": bytes(4000)}))
    return acknowledged, refused.value


def test_a_full_disk_stops_changes_but_not_the_use_of_keys(small):
    node = small.nodes[0]
    session = open_session(small)
    public, private = session.key_pair_generate_ec("before", hsm.CURVE_P256)
    acknowledged, refusal = fill(session)
    assert isinstance(refusal, hsm.StoreFull), refusal
    assert "disk is full" in str(refusal) and "make room" in str(refusal)
    assert len(acknowledged) > 10
    assert node.running()
    session.verify(public, ECDSA, b"data", session.sign(private, ECDSA, b"data"))

    enter(node, "mount", "-o", "remount,size=16m", small.folder.parent / "disk")
    after = session.object_create({"CLASS": hsm.CLASS_DATA, "LABEL": "after", "TOKEN": True, "VALUE": b"room"})
    found = set(session.find({"CLASS": hsm.CLASS_DATA}))
    assert found >= {*acknowledged, after}
    # The disk may have been full for the object, or only for its entry in the audit log: the refusal says which.
    assert len(found) == len(acknowledged) + 1 + ("the act was done" in str(refusal))


def test_a_store_that_cannot_be_written_is_refused_at_the_start(tmp_path):
    cluster = on_disk(tmp_path, "true")
    with cluster:
        node = cluster.nodes[0]
        node.stop()
        cluster.node_wrapper[-2] = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
        node.start(wait=False)
        assert node.process.wait(30) != 0
        assert "store.db" in node.log_tail() and "owner and mode" in node.log_tail()
