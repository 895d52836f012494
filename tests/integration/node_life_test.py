"""Nodes that come, go, are replaced and get new certificates, and how the cluster is shown meanwhile."""
import hashlib
import ssl
import subprocess
import time

import pytest

import hsm
from fixture.cluster import Cluster, ClusterError
from fixture.etcd import Etcd


def session_of(cluster, user=None):
    session = hsm.Cluster(hsm.Config(cluster.config)).session()
    session.login(user or cluster.USER, cluster.password(user or cluster.USER))
    return session


def states(cluster):
    return {node.name: node.state for node in hsm.Cluster(hsm.Config(cluster.config)).describe().nodes}


def wait_until(what, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.05)


def certificate_of(cluster, node):
    """What the node shows a client that connects now, DER."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cluster.ca / "ca.pem")
    context.load_cert_chain(cluster.folder / "client.pem", cluster.folder / "client.key")
    host, port = node.urls[0].removeprefix("tls+tcp://").rsplit(":", 1)
    import socket
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain) as link:
        return link.getpeercert(binary_form=True)


def test_the_cluster_shows_who_is_there(own_cluster):
    cluster = own_cluster
    first, second, third = cluster.nodes
    assert set(states(cluster).values()) == {"serving"}
    cluster.run("node", "drain", "--endpoint", second.socket)
    third.kill()
    assert states(cluster) == {first.name: "serving", second.name: "draining", third.name: "away"}
    cluster.run("node", "drain", "--endpoint", second.socket, "--undo")
    third.start().wait_ready(listening=True)
    assert set(states(cluster).values()) == {"serving"}
    info = next(node for node in hsm.Cluster(hsm.Config(cluster.config)).describe().nodes if node.name == third.name)
    assert info.version == hsm.__version__ and abs(info.started_ms / 1000 - time.time()) < 60
    assert (info.protocol_version, info.key_generation) == (1, 1)


def test_describe_and_top_show_version_lag_and_load(own_cluster):
    cluster = own_cluster
    described = cluster.json("cluster", "describe")
    assert {node["name"] for node in described["nodes"]} == {node.name for node in cluster.nodes}
    for node in described["nodes"]:
        assert node["state"] == "serving" and node["version"] == hsm.__version__ and node["zone"]
        assert node["behind_ms"] == 0 and node["load_percent"] >= 0 and node["revision"] == described["revision"]
    cluster.nodes[0].pause()  # hangs: is there, and does not answer
    described = cluster.json("cluster", "describe")
    cluster.nodes[0].resume()
    assert [node["state"] for node in described["nodes"] if node["name"] == cluster.nodes[0].name] == ["unreachable"]
    rows = cluster.json("top", "--interval", "0.2")
    assert all({"messages_s", "connections", "behind_ms", "load_percent", "zone"} <= row.keys() for row in rows)


def test_presence_in_etcd_ends_with_the_node(tmp_path):
    with Etcd(tmp_path / "etcd") as etcd, Cluster(3, folder=tmp_path / "cluster", settings=etcd.settings) as cluster:
        first, second, third = cluster.nodes
        wait_until(lambda: set(states(cluster).values()) == {"serving"})
        second.stop()  # in order: says so
        wait_until(lambda: states(cluster)[second.name] == "away", 5)
        third.kill()  # its lease ends
        wait_until(lambda: states(cluster)[third.name] == "away")
        assert states(cluster)[first.name] == "serving"
        # Without etcd nobody can say, but the node that answers.
        second.start().wait_ready(listening=True)
        wait_until(lambda: states(cluster)[second.name] == "serving")
        etcd.stop()
        wait_until(lambda: sorted(states(cluster).values()) == ["serving", "unknown", "unknown"])


def test_a_node_gets_a_new_certificate_while_it_serves(own_cluster):
    cluster = own_cluster
    node = cluster.nodes[0]
    session = session_of(cluster)
    key = session.key_generate_aes("key")
    before, pid = certificate_of(cluster, node), node.process.pid
    cluster.run("node", "renew", "--endpoint", node.socket, "--directory", cluster.ca, "--days", "30")
    after = certificate_of(cluster, node)
    assert after != before and node.process.pid == pid and node.running()
    for fresh in (session, session_of(cluster)):
        assert fresh.sign(key, hsm.Mechanism(hsm.MECHANISM_AES_CMAC), b"x")
    listed = {info.name: info.certificate_hash for info in hsm.Cluster(hsm.Config(cluster.config)).describe().nodes}
    assert listed[node.name] == hashlib.sha256(after).digest()
    # Also with the owner's own CA, in two steps; and it stays over a restart.
    cluster.run("node", "csr", "--endpoint", node.socket, "--csr", cluster.folder / "again.csr")
    subprocess.run(["openssl", "req", "-in", cluster.folder / "again.csr", "-noout", "-verify"], check=True, capture_output=True)
    cluster.run("ca", "sign", "--directory", cluster.ca, "--role", "node", "--csr", cluster.folder / "again.csr", "--out",
                cluster.folder / "again.pem", config=False)
    cluster.run("node", "renew", "--endpoint", node.socket, "--certificate", cluster.folder / "again.pem", "--ca",
                cluster.ca / "ca.pem")
    third = certificate_of(cluster, node)
    node.stop()
    node.start().wait_ready(listening=True)
    assert certificate_of(cluster, node) == third != after
    # One for another node's key, or of another CA, changes nothing.
    other = cluster.nodes[1]
    cluster.run("ca", "create", "--directory", cluster.folder / "other-ca", config=False)
    for words in (("--certificate", other.state / "node.pem", "--ca", cluster.ca / "ca.pem"),
                  ("--directory", cluster.folder / "other-ca")):
        with pytest.raises(ClusterError, match="certificate"):
            cluster.run("node", "renew", "--endpoint", node.socket, *words)
    assert certificate_of(cluster, node) == third


def test_a_node_is_replaced(own_cluster):
    cluster = own_cluster
    old = cluster.nodes[1]
    session = session_of(cluster)
    key = session.key_generate_aes("key")
    mac = session.sign(key, hsm.Mechanism(hsm.MECHANISM_AES_CMAC), b"x")
    old.kill()  # its disk is lost, say
    new = cluster.add_node()
    new.start()
    cluster.run("node", "replace", old.name, "--endpoint", new.socket, "--ca-directory", cluster.ca, "--yes", user=cluster.ADMIN)
    new.wait_ready(listening=True)
    assert set(states(cluster)) == {cluster.nodes[0].name, cluster.nodes[2].name, new.name}
    assert session.sign(key, hsm.Mechanism(hsm.MECHANISM_AES_CMAC), b"x") == mac
    with pytest.raises(ClusterError, match="removed"):
        old.start()
    done = cluster.run("node", "replace", "nobody", "--endpoint", new.socket, "--ca-directory", cluster.ca, "--yes",
                       user=cluster.ADMIN, check=False)
    assert done.returncode != 0


def n_nodes(cluster):
    return len(hsm.Cluster(hsm.Config(cluster.config)).describe().nodes)


def test_the_29th_node_is_refused(tmp_path):
    """28 are recorded without running: what counts is the list."""
    with Cluster(1, folder=tmp_path / "cluster") as cluster:
        admin = session_of(cluster, cluster.ADMIN)
        strangers = Cluster(0, folder=tmp_path / "strangers")
        for _ in range(27):
            node = strangers.add_node()
            node.start()
            cluster.run("node", "csr", "--endpoint", node.socket, "--csr", tmp_path / "csr", config=False)
            node.kill()
            cluster.run("ca", "sign", "--directory", cluster.ca, "--role", "node", "--csr", tmp_path / "csr", "--out",
                        tmp_path / "pem", config=False)
            assert admin.node_approve((tmp_path / "pem").read_text())
        assert n_nodes(cluster) == 28
        late = cluster.add_node()
        late.start()
        done = cluster.run("node", "join", "--endpoint", late.socket, "--ca-directory", cluster.ca, user=cluster.ADMIN, check=False)
        assert done.returncode != 0 and b"28 nodes" in done.stderr
        # In place of one that is there it comes in.
        gone = next(info for info in hsm.Cluster(hsm.Config(cluster.config)).describe().nodes if info.state == "approved")
        cluster.run("node", "replace", gone.id.hex(), "--endpoint", late.socket, "--ca-directory", cluster.ca, "--yes",
                    user=cluster.ADMIN)
        late.wait_ready(listening=True)
        served = [info.name for info in hsm.Cluster(hsm.Config(cluster.config)).describe().nodes if info.state == "serving"]
        assert sorted(served) == [cluster.nodes[0].name, late.name] and n_nodes(cluster) == 28
