"""Clocks that jump under a node: logins expire when they should, a step backwards makes nothing valid again and stops nothing,
and the log says so."""
import os
import time
from pathlib import Path

import pytest

import hsm
from fixture.cluster import SANITIZED, Cluster

ECDSA = hsm.Mechanism(hsm.MECHANISM_ECDSA, hash=hsm.HASH_SHA256)


def faketime_library():
    return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


class Clock:
    """The real-time clock of a cluster's nodes, in seconds from where it starts; it can be changed while they run. It starts
    half a day ahead, because set back it must still be in the time for which the certificates are made."""

    START = 12 * 3600

    def __init__(self, cluster):
        self.file = cluster.folder / "clock"
        self.set(0)
        cluster.node_environment = self.environment()

    def environment(self):
        preload = [os.environ["HSM_SANITIZER_RUNTIME"]] if SANITIZED else []
        return {
            "LD_PRELOAD": " ".join([*preload, str(faketime_library())]), "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1"}

    def set(self, seconds):
        temporary = self.file.with_suffix(".new")
        temporary.write_text(f"{self.START + seconds:+d}\n")
        temporary.replace(self.file)


class NodeClock(Clock):
    """The clock of one node alone."""

    START = 0

    def __init__(self, node):
        self.file = node.folder / "clock"
        self.set(0)
        node.environment = self.environment()


@pytest.fixture
def jumping():
    cluster = Cluster(1, settings={"log-level": "info"})
    clock = Clock(cluster)
    with cluster:
        yield cluster, clock


@pytest.fixture
def client(jumping):
    cluster, _ = jumping
    with hsm.Config(cluster.config) as config, hsm.Cluster(config) as opened:
        yield opened


def log_in(cluster, client):
    session = client.session()
    session.login(cluster.USER, cluster.password(cluster.USER))
    return session


def wait_for_log(node, words):
    deadline = time.monotonic() + 20
    while words not in node.log.read_text():
        assert time.monotonic() < deadline, node.log_tail()
        time.sleep(0.02)


def test_an_expired_login_is_refused_and_renewed_where_the_password_is_known(jumping, client, monkeypatch):
    cluster, clock = jumping
    explicit = log_in(cluster, client)
    for name, value in cluster.environment().items():
        monkeypatch.setenv(name, value)
    with hsm.Config() as config, hsm.Cluster(config) as opened, opened.session() as configured, opened.session() as kept_login:
        configured.login_default()
        kept_login.login_kept(cluster.USER, cluster.password(cluster.USER))
        public, private = configured.key_pair_generate_ec("pair", hsm.CURVE_P256)
        kept = configured.object_create({"CLASS": hsm.CLASS_DATA, "TOKEN": False, "VALUE": b"of the session"})
        clock.set(2 * 3600)
        with pytest.raises(hsm.TicketExpired, match="log in again"):
            explicit.sign(private, ECDSA, b"data")
        configured.verify(public, ECDSA, b"data", configured.sign(private, ECDSA, b"data"))
        assert configured.object_get(kept, ["VALUE"]) == {hsm.ATTR_VALUE: b"of the session"}
        kept_login.sign(private, ECDSA, b"data")
    explicit.login(cluster.USER, cluster.password(cluster.USER))
    explicit.sign(private, ECDSA, b"data")


def test_a_clock_set_back_changes_nothing_while_the_node_runs(jumping, client):
    cluster, clock = jumping
    node = cluster.nodes[0]
    session = log_in(cluster, client)
    public, private = session.key_pair_generate_ec("pair", hsm.CURVE_P256)
    clock.set(2 * 3600)
    with pytest.raises(hsm.TicketExpired):
        session.sign(private, ECDSA, b"data")
    clock.set(-2 * 3600)
    with pytest.raises(hsm.TicketExpired):
        session.sign(private, ECDSA, b"data")
    wait_for_log(node, "clock set back")
    again = log_in(cluster, client)
    again.verify(public, ECDSA, b"data", again.sign(private, ECDSA, b"data"))
    again.key_generate_aes("made in between")
    assert "none missing or changed" in cluster.run("audit", "verify", user=Cluster.ADMIN).stdout.decode()
    clock.set(2 * 3600 + 60)
    again.sign(private, ECDSA, b"data")
    wait_for_log(node, "clock right again")


def test_a_node_that_starts_with_its_clock_back_says_so_and_serves_new_logins(jumping, client):
    cluster, clock = jumping
    session = log_in(cluster, client)
    public, private = session.key_pair_generate_ec("pair", hsm.CURVE_P256)
    cluster.nodes[0].stop()
    clock.set(-5 * 3600)
    cluster.nodes[0].start()
    with pytest.raises(hsm.ClockUntrusted, match="clocks of the nodes"):
        session.sign(private, ECDSA, b"data")
    again = log_in(cluster, client)
    again.verify(public, ECDSA, b"data", again.sign(private, ECDSA, b"data"))
