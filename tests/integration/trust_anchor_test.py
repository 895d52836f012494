"""Clients with certificates of other CAs than the cluster's."""
import hashlib
import json
import ssl
import subprocess
import time

import pytest

import hsm
from fixture.cluster import Cluster
from fixture.etcd import openssl


@pytest.fixture
def cluster(tmp_path):
    with Cluster(2, folder=tmp_path / "cluster") as made:
        yield made


def make_ca(folder, name):
    folder.mkdir()
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 30, "-subj", f"/CN={name}",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign", "-keyout", folder / "ca.key",
            "-out", folder / "ca.pem")
    (folder / "client.ext").write_text("extendedKeyUsage=clientAuth\n")
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=application",
            "-keyout", folder / "client.key", "-out", folder / "client.csr")
    openssl("x509", "-req", "-in", folder / "client.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
            "-CAcreateserial", "-days", 30, "-extfile", folder / "client.ext", "-out", folder / "client.pem")
    return folder


def try_client(cluster, ca, nodes):
    """Whether a client with that CA's certificate is let in, by each of the nodes."""
    answers = []
    for node in nodes:
        path = cluster.write_client_config(cluster.folder / f"{ca.name}.yaml", nodes=node.urls,
                                           **{"certificate-file": str(ca / "client.pem"), "key-file": str(ca / "client.key"),
                                              "timeout-ms": 1000})
        try:
            hsm.Cluster(hsm.Config(path)).ping()
            answers.append(True)
        except (hsm.TlsError, hsm.Unavailable):
            answers.append(False)
    return answers


def wait_until(what):
    deadline = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.05)


def test_a_further_ca_is_let_in_and_out_again(cluster, tmp_path):
    first, second = make_ca(tmp_path / "first", "First CA"), make_ca(tmp_path / "second", "Second CA")
    assert try_client(cluster, first, cluster.nodes) == [False, False]
    ids = {}
    for ca in (first, second):
        ids[ca] = cluster.json("trust-anchor", "add", ca / "ca.pem", user=cluster.ADMIN)["id"]
        cluster.run("trust-anchor", "add", ca / "ca.pem", user=cluster.ADMIN)  # repeated
        der = ssl.PEM_cert_to_DER_cert((ca / "ca.pem").read_text())
        assert ids[ca] == hashlib.sha256(der).hexdigest()
        wait_until(lambda: try_client(cluster, ca, cluster.nodes) == [True, True])
    listed = cluster.json("trust-anchor", "list")
    assert {row["name"]: row["id"] for row in listed} == {"First CA": ids[first], "Second CA": ids[second]}
    # Who was let in before goes on being so, also after a restart.
    cluster.nodes[1].stop()
    cluster.nodes[1].start().wait_ready(listening=True)
    assert try_client(cluster, first, cluster.nodes) == [True, True]
    cluster.run("user", "list")
    cluster.run("trust-anchor", "remove", ids[first][:12], "--yes", user=cluster.ADMIN)
    wait_until(lambda: try_client(cluster, first, cluster.nodes) == [False, False])
    assert try_client(cluster, second, cluster.nodes) == [True, True]
    done = cluster.run("trust-anchor", "remove", ids[first][:12], "--yes", user=cluster.ADMIN, check=False)
    assert done.returncode != 0
    cluster.run("user", "list")


def test_a_session_from_before_is_not_resumed(cluster, tmp_path):
    """OpenSSL's own client keeps the session that it got; when its CA is not trusted any more, that is of no use."""
    ca = make_ca(tmp_path / "other", "Other CA")
    anchor = cluster.json("trust-anchor", "add", ca / "ca.pem", user=cluster.ADMIN)["id"]
    host = cluster.nodes[0].urls[0].removeprefix("tls+tcp://")
    kept = tmp_path / "session"

    def connect(*options):
        # SP's greeting, so that the node reads on and its session ticket arrives.
        return subprocess.run(["openssl", "s_client", "-connect", host, "-CAfile", cluster.ca / "ca.pem", "-cert", ca / "client.pem",
                               "-key", ca / "client.key", "-tls1_3", *options], input=b"\0SP\0\0\x30\0\0", capture_output=True, timeout=20)

    wait_until(lambda: b"\0SP\0\0\x31\0\0" in connect("-sess_out", kept).stdout and kept.exists())
    assert b"Reused" in connect("-sess_in", kept).stdout
    cluster.run("trust-anchor", "remove", anchor, "--yes", user=cluster.ADMIN)
    wait_until(lambda: try_client(cluster, ca, cluster.nodes[:1]) == [False])
    after = connect("-sess_in", kept)
    assert b"Reused" not in after.stdout and b"\0SP\0\0\x31\0\0" not in after.stdout


def test_what_is_no_ca_is_refused(cluster, tmp_path):
    ca = make_ca(tmp_path / "other", "Other CA")
    for path in (ca / "client.pem", ca / "ca.key"):
        done = cluster.run("trust-anchor", "add", path, user=cluster.ADMIN, check=False)
        assert done.returncode != 0, path
    assert json.loads(cluster.run("--output", "json", "trust-anchor", "list").stdout) == []
    with pytest.raises(hsm.NotPermitted):
        session = hsm.Cluster(hsm.Config(cluster.config)).session()
        session.login(cluster.USER, cluster.password(cluster.USER))
        session.trust_anchor_add((ca / "ca.pem").read_text())


def test_they_are_in_the_backup_and_sealed_anew(tmp_path):
    backups = tmp_path / "backups"
    backups.mkdir(mode=0o700)
    ca = make_ca(tmp_path / "other", "Other CA")
    with Cluster(1, folder=tmp_path / "cluster", settings={"backup-to": f"directory:{backups}", "backup-interval-s": 0}) as cluster:
        cluster.run("trust-anchor", "add", ca / "ca.pem", user=cluster.ADMIN)
        cluster.run("cluster", "rotate-key", "--grace", "0", user=cluster.ADMIN)
        assert try_client(cluster, ca, cluster.nodes) == [True]
        cluster.run("backup", "create", user=cluster.ADMIN)
        restored = Cluster(1, folder=tmp_path / "restored", settings={"backup-interval-s": 0})
        try:
            restored.restore("--from", f"directory:{backups}", recovery=cluster.recovery, passwords=cluster.passwords)
            assert try_client(restored, ca, restored.nodes) == [True]
        finally:
            restored.close()
