"""etcd is restored from a snapshot that is older than what the nodes have seen: nothing is taken back unasked."""
import shutil
import time

import pytest

import hsm
from fixture.cluster import Cluster
from fixture.etcd import Etcd

ECDSA = hsm.Mechanism(hsm.MECHANISM_ECDSA, hash=hsm.HASH_SHA256)


def log_in(cluster):
    session = hsm.Cluster(hsm.Config(cluster.config)).session()
    session.login(cluster.USER, cluster.password(cluster.USER))
    return session


def restore(etcd, snapshot):
    member = etcd.members[0]
    member.kill()
    shutil.rmtree(member.data)
    etcd.ctl("snapshot", "restore", snapshot, "--name", member.name, "--data-dir", member.data, "--initial-cluster",
             etcd.initial, "--initial-advertise-peer-urls", member.peer_url, endpoints=[member.url])
    etcd.start()


def test_a_restored_etcd_is_not_followed_unasked(tmp_path):
    with Etcd(tmp_path / "etcd", n_members=1) as etcd, Cluster(1, folder=tmp_path / "cluster",
                                                               settings=etcd.settings) as cluster:
        session, node = log_in(cluster), cluster.nodes[0]
        etcd.ctl("snapshot", "save", tmp_path / "snapshot")
        public, private = session.key_pair_generate_ec("since", hsm.CURVE_P256)
        restore(etcd, tmp_path / "snapshot")

        deadline = time.monotonic() + 20
        while "older than this node" not in node.log_tail():
            assert time.monotonic() < deadline, node.log_tail()
            time.sleep(0.05)
        session.verify(public, ECDSA, b"data", session.sign(private, ECDSA, b"data"))
        with pytest.raises(hsm.Error) as refused:
            session.object_create({"CLASS": hsm.CLASS_DATA, "LABEL": "x", "TOKEN": True, "VALUE": b"v"})
        assert "older than this node" in str(refused.value)
        node.stop()
        node.start(wait=False)
        assert node.process.wait(20) != 0
        assert "older than this node" in node.log_tail()

        # What the operator's page says, when the loss is meant.
        (node.state / "replica.db").unlink()
        for suffix in ("-wal", "-shm"):
            (node.state / f"replica.db{suffix}").unlink(missing_ok=True)
        node.start()
        node.wait_ready(listening=True)
        again = log_in(cluster)
        assert not list(again.find({"LABEL": "since"}))
        again.object_create({"CLASS": hsm.CLASS_DATA, "LABEL": "after", "TOKEN": True, "VALUE": b"v"})
