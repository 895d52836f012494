"""A cluster on three members of etcd: what is written on one node is there on all, whatever dies; without etcd existing keys
go on working and changes are refused."""
import signal
import time

import pytest

import hsm
from fixture.cluster import Cluster, ClusterError
from fixture.etcd import Etcd

ECDSA = hsm.Mechanism(hsm.MECHANISM_ECDSA, hash=hsm.HASH_SHA256)


@pytest.fixture(scope="module")
def etcd(tmp_path_factory):
    with Etcd(tmp_path_factory.mktemp("etcd")) as started:
        yield started


@pytest.fixture(scope="module")
def shared(etcd, tmp_path_factory):
    with Cluster(3, folder=tmp_path_factory.mktemp("cluster"), settings=etcd.settings) as made:
        yield made


@pytest.fixture
def cluster(etcd, shared):
    yield shared
    for member in etcd.members:
        if member.running():
            member.signal(signal.SIGCONT)
    etcd.start()
    for node in shared.nodes:
        if not node.running():
            node.start()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            with hsm.Cluster(hsm.Config(shared.config)) as client, log_in(shared, client):
                return
        except hsm.Error:
            time.sleep(0.1)


def client_of(cluster, *nodes, **changes):
    """A client of these nodes alone."""
    urls = [node.urls[0] for node in nodes or cluster.nodes]
    path = cluster.folder / f"client-{'-'.join(node.name for node in nodes)}.yaml"
    return hsm.Cluster(hsm.Config(cluster.write_client_config(path, nodes=urls, **{"refresh-interval-ms": 0, **changes})))


def log_in(cluster, client):
    session = client.session()
    session.login(cluster.USER, cluster.password(cluster.USER))
    return session


def test_a_key_is_usable_everywhere_at_once(cluster):
    sessions = [log_in(cluster, client_of(cluster, node)) for node in cluster.nodes]
    for n in range(9):
        maker, user = sessions[n % 3], sessions[(n + 1) % 3]
        public, private = maker.key_pair_generate_ec(f"everywhere-{n}", hsm.CURVE_P256)
        user.verify(public, ECDSA, b"data", user.sign(private, ECDSA, b"data"))


def test_the_death_of_etcds_leader_loses_nothing(cluster, etcd):
    session = log_in(cluster, client_of(cluster))
    made, leader = [], etcd.leader()
    for n in range(30):
        if n == 10:
            leader.kill()
        made.append(session.object_create({"CLASS": hsm.CLASS_DATA, "LABEL": f"leader-{n}", "TOKEN": True, "VALUE": b"v"}))
    for node in cluster.nodes:
        other = log_in(cluster, client_of(cluster, node))
        for n, key in enumerate(made):
            assert other.find_one(f"leader-{n}", hsm.CLASS_DATA) == key


def test_a_stopped_member_of_etcd_does_not_stop_its_watchers(cluster, etcd):
    sessions = [log_in(cluster, client_of(cluster, node)) for node in cluster.nodes]
    stopped = next(member for member in etcd.members if member is not etcd.leader())
    stopped.signal(signal.SIGSTOP)
    for n in range(6):
        public, private = sessions[n % 3].key_pair_generate_ec(f"stopped-{n}", hsm.CURVE_P256)
        for session in sessions:
            session.verify(public, ECDSA, b"data", session.sign(private, ECDSA, b"data"))


def test_without_etcd_keys_work_and_changes_and_logins_are_refused(cluster, etcd):
    session = log_in(cluster, client_of(cluster))
    public, private = session.key_pair_generate_ec("offline", hsm.CURVE_P256)
    time.sleep(0.5)
    etcd.stop()
    for _ in range(100):
        session.verify(public, ECDSA, b"data", session.sign(private, ECDSA, b"data"))
    with pytest.raises(hsm.StoreUnavailable) as refused:
        session.object_create({"CLASS": hsm.CLASS_DATA, "LABEL": "refused", "TOKEN": True, "VALUE": b"v"})
    assert "etcd" in str(refused.value)
    with pytest.raises(hsm.StoreUnavailable):
        log_in(cluster, client_of(cluster))

    restarted = cluster.nodes[1]
    restarted.kill()
    restarted.start()
    restarted.wait_ready(listening=True)
    session.verify(public, ECDSA, b"data", session.sign(private, ECDSA, b"data"))

    etcd.start()
    deadline = time.monotonic() + 20
    while True:
        try:
            session.object_create({"CLASS": hsm.CLASS_DATA, "LABEL": "accepted", "TOKEN": True, "VALUE": b"v"})
            break
        except hsm.StoreUnavailable:
            assert time.monotonic() < deadline
    assert session.find_one("accepted", hsm.CLASS_DATA)
    assert not list(session.find({"LABEL": "refused"}))


def test_a_node_that_slept_through_a_compaction_reads_all_anew(cluster, etcd):
    asleep, awake = cluster.nodes[2], client_of(cluster, cluster.nodes[0])
    session = log_in(cluster, awake)
    gone = session.object_create({"CLASS": hsm.CLASS_DATA, "LABEL": "gone", "TOKEN": True, "VALUE": b"v"})
    asleep.kill()
    session.object_delete(gone)
    session.object_create({"CLASS": hsm.CLASS_DATA, "LABEL": "new", "TOKEN": True, "VALUE": b"v"})
    revision = etcd.ctl("get", "/libhsm/head", "--write-out", "fields").split('"Revision" : ')[1].split()[0]
    etcd.ctl("compact", revision)
    asleep.start()
    asleep.wait_ready(listening=True)
    assert "replica read anew" in asleep.log_tail(20)
    other = log_in(cluster, client_of(cluster, asleep))
    assert other.find_one("new", hsm.CLASS_DATA)
    assert not list(other.find({"LABEL": "gone"}))


def test_a_damaged_replica_is_made_anew(cluster):
    node = cluster.nodes[1]
    session = log_in(cluster, client_of(cluster, cluster.nodes[0]))
    public, private = session.key_pair_generate_ec("damaged", hsm.CURVE_P256)
    node.stop()
    for suffix in ("-wal", "-shm"):
        (node.state / f"replica.db{suffix}").unlink(missing_ok=True)
    with (node.state / "replica.db").open("r+b") as replica:
        replica.seek(100)
        replica.write(b"\xff" * 8192)
    node.start()
    node.wait_ready(listening=True)
    assert "replica damaged" in node.log_tail()
    other = log_in(cluster, client_of(cluster, node))
    other.verify(public, ECDSA, b"data", other.sign(private, ECDSA, b"data"))


def test_an_emptied_etcd_does_not_empty_the_replicas(cluster, etcd):
    """What an operator can do by mistake with one command; keys go on working, and it can be undone from a snapshot."""
    session = log_in(cluster, client_of(cluster))
    public, private = session.key_pair_generate_ec("survivor", hsm.CURVE_P256)
    text = etcd.ctl("get", "/libhsm/cluster", "--print-value-only").strip()
    etcd.ctl("del", "/libhsm/cluster")
    with pytest.raises(hsm.Error) as refused:
        session.object_create({"CLASS": hsm.CLASS_DATA, "LABEL": "lost", "TOKEN": True, "VALUE": b"v"})
    assert "etcd" in str(refused.value)
    for _ in range(30):
        session.verify(public, ECDSA, b"data", session.sign(private, ECDSA, b"data"))
    etcd.ctl("put", "/libhsm/cluster", text)


def test_a_foreign_prefix_is_refused(cluster, etcd, tmp_path):
    other = Cluster(1, folder=tmp_path / "other", settings=etcd.settings)
    with pytest.raises(ClusterError) as refused:
        with other:
            pass
    assert "etcd holds" in str(refused.value)


def test_how_far_behind_a_node_is_can_be_seen(cluster, etcd):
    def rows():
        return {row["name"]: row for row in cluster.json("top")}

    shown = rows()
    assert set(shown) == {node.name for node in cluster.nodes}
    assert all(0 <= float(row["behind_ms"]) < 5000 and row["version"] for row in shown.values())
    etcd.stop()
    time.sleep(1.5)
    assert all(float(row["behind_ms"]) >= 1000 for row in rows().values())
