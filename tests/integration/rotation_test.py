"""The masking key is replaced while the cluster works: nothing is lost, nobody is logged out, nodes may come and go, and
afterwards the key before opens nothing any more."""
import sqlite3
import threading
import time

import pytest

import hsm
from fixture.cluster import Cluster
from fixture.etcd import Etcd

MESSAGE = b"what is signed"
CMAC = hsm.Mechanism(hsm.MECHANISM_AES_CMAC)
GENERATION_LEN = 4
NEVER_SEALED = (9,)  # handovers: sealed under the key before on purpose


def client(cluster, nodes=None):
    return hsm.Cluster(hsm.Config(cluster.write_client_config(cluster.folder / "one.yaml", nodes=nodes) if nodes else cluster.config))


def session_of(cluster, user=None, nodes=None):
    session = client(cluster, nodes).session()
    session.login(user or cluster.USER, cluster.password(user or cluster.USER))
    return session


def wait_until(what, timeout_s=30):
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.05)


def settled(cluster, generation):
    info = client(cluster).masking_key()
    return info.generation == generation and info.phase in ("none", "grace")


def rotate(cluster, generation, grace_s=86400):
    assert session_of(cluster, cluster.ADMIN).rotate_key(grace_s) == generation
    wait_until(lambda: settled(cluster, generation))


def generations_in_store(path):
    """Generation: how many records of the store are sealed under it."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT kind, value FROM records").fetchall()
    counts = {}
    for kind, value in rows:
        if kind not in NEVER_SEALED:
            generation = int.from_bytes(value[:GENERATION_LEN], "big")
            counts[generation] = counts.get(generation, 0) + 1
    return counts


@pytest.fixture
def cluster(tmp_path):
    with Cluster(3, folder=tmp_path / "cluster") as made:
        yield made


def test_everything_is_sealed_anew_and_works_as_before(cluster):
    session = session_of(cluster)
    keys = [session.key_generate_aes(f"key {i}") for i in range(150)]
    macs = [session.sign(key, CMAC, MESSAGE) for key in keys]
    session.object_delete(keys.pop())
    macs.pop()
    certificate = session.object_create({"CLASS": hsm.CLASS_DATA, "TOKEN": True, "LABEL": "data", "VALUE": b"data"})
    before = generations_in_store(cluster.folder / "store.db")
    assert set(before) == {1}

    rotate(cluster, 2)

    after = generations_in_store(cluster.folder / "store.db")
    assert set(after) == {2}
    assert sum(after.values()) >= sum(before.values())
    for fresh in (session, session_of(cluster)):
        assert [fresh.sign(key, CMAC, MESSAGE) for key in keys] == macs
        assert {key.id for key in fresh.find({"CLASS": hsm.CLASS_SECRET_KEY})} == {key.id for key in keys}
        assert [key.id for key in fresh.find({"LABEL": "key 7"})] == [keys[7].id]
        assert [key.id for key in fresh.find({"LABEL": "data"})] == [certificate.id]
    cluster.run("audit", "verify", user=cluster.ADMIN)
    for node in cluster.nodes:
        cluster.run("audit", "verify", "--name", node.name, user=cluster.ADMIN)


def test_clients_notice_nothing(cluster):
    """A session that was open, its session keys, an operation in parts: all go on, and are exchanged on the way, so that
    they outlive the key before."""
    session = session_of(cluster)
    token = session.key_generate_aes("token")
    own = session.key_generate(hsm.MECHANISM_AES_KEY_GEN, {"VALUE_LEN": 32, "SIGN": True, "TOKEN": False})
    part = bytes(300_000)  # more than is gathered before it travels
    expected = session.sign(own, CMAC, part + part)
    operation = session.operation(hsm.OPERATION_SIGN, own, CMAC)
    operation.update(part)
    rotate(cluster, 2, grace_s=3)
    operation.update(part)
    assert operation.final() == expected
    session.sign(token, CMAC, MESSAGE)  # the ticket is exchanged
    assert session.sign(own, CMAC, part + part) == expected  # and then the key
    wait_until(lambda: client(cluster).masking_key().phase == "none")
    assert session.sign(own, CMAC, part + part) == expected
    assert session.sign(token, CMAC, MESSAGE)


def test_without_grace_what_clients_hold_ends_at_once(cluster):
    session = session_of(cluster)
    session.key_generate_aes("token")
    rotate(cluster, 2, grace_s=0)
    wait_until(lambda: client(cluster).masking_key().phase == "none")
    time.sleep(0.2)  # every node has heard
    with pytest.raises(hsm.TicketExpired):
        session.random(16)
    assert session_of(cluster).find_one("token")


def test_rotations_follow_each_other(cluster):
    session = session_of(cluster)
    key = session.key_generate_aes("key")
    mac = session.sign(key, CMAC, MESSAGE)
    for generation in (2, 3, 4, 5, 6):
        rotate(cluster, generation, grace_s=0)
        wait_until(lambda: client(cluster).masking_key().phase == "none")
    assert session_of(cluster).sign(key, CMAC, MESSAGE) == mac
    assert set(generations_in_store(cluster.folder / "store.db")) == {6}


def test_one_at_a_time_and_never_more_keys_than_fit(cluster):
    admin = session_of(cluster, cluster.ADMIN)
    for generation in (2, 3, 4):
        rotate(cluster, generation)
        time.sleep(1.2)  # every node tells that it has the key
    with pytest.raises(hsm.ClusterState, match="still in use"):
        admin.rotate_key()


def test_only_administrators_begin_one(cluster):
    with pytest.raises(hsm.NotPermitted):
        session_of(cluster).rotate_key()
    done = cluster.run("cluster", "masking-key", user=None)
    assert b"none" in done.stdout


def test_a_node_that_was_away_takes_the_key_up(cluster):
    session = session_of(cluster)
    key = session.key_generate_aes("key")
    mac = session.sign(key, CMAC, MESSAGE)
    away = cluster.nodes[2]
    away.stop()
    rotate(cluster, 2, grace_s=0)
    wait_until(lambda: client(cluster).masking_key().phase == "none")
    # Until it is back there is no further rotation: it could never follow.
    with pytest.raises(hsm.ClusterState, match=f"{away.name} has not taken up masking key 2"):
        session_of(cluster, cluster.ADMIN).rotate_key()
    away.start().wait_ready(listening=True)
    assert session_of(cluster, nodes=away.urls).sign(key, CMAC, MESSAGE) == mac
    wait_until(lambda: can_rotate(cluster))


def can_rotate(cluster):
    try:
        session_of(cluster, cluster.ADMIN).rotate_key(0)
        return True
    except hsm.ClusterState:
        return False


def test_a_node_joins_meanwhile(tmp_path):
    with Cluster(3, folder=tmp_path / "cluster") as cluster:
        session = session_of(cluster)
        key = session.key_generate_aes("key")
        mac = session.sign(key, CMAC, MESSAGE)
        late = cluster.add_node()
        session_of(cluster, cluster.ADMIN).rotate_key()
        cluster.join(late)
        assert session_of(cluster, nodes=late.urls).sign(key, CMAC, MESSAGE) == mac
        wait_until(lambda: settled(cluster, 2))
        assert session_of(cluster, nodes=late.urls).sign(key, CMAC, MESSAGE) == mac


def test_a_removed_node_has_nothing_of_the_new_key(cluster, tmp_path):
    """It keeps its state folder, and whoever has that reads the store as it was; not as it is."""
    session_of(cluster).key_generate_aes("before")
    removed = cluster.nodes[2]
    cluster.run("node", "remove", removed.name, "--yes", user=cluster.ADMIN)
    wait_until(lambda: not removed.running())
    rotate(cluster, 2, grace_s=0)
    session_of(cluster).key_generate_aes("after")
    with sqlite3.connect(f"file:{cluster.folder / 'store.db'}?mode=ro", uri=True) as database:
        handed = {row[0] for row in database.execute("SELECT id FROM records WHERE kind = 9")}
    members = {node.id for node in client(cluster).describe().nodes}
    assert handed == members and len(members) == 2
    with pytest.raises(Exception, match="hands none over|masking key"):
        removed.start()


class Load:
    """Clients that create, use and delete keys all the time; nothing of it may fail."""

    def __init__(self, cluster, n=3):
        self.cluster, self.stopping, self.errors, self.macs, self.done = cluster, threading.Event(), [], {}, 0
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(n)]

    def run(self, number):
        try:
            session = session_of(self.cluster)
            i = 0
            while not self.stopping.is_set():
                key = session.key_generate_aes(f"load {number} {i}")
                mac = session.sign(key, CMAC, MESSAGE)
                if i % 3 == 2:
                    session.object_delete(key)
                else:
                    self.macs[key] = mac
                assert session.sign(key, CMAC, MESSAGE) == mac if i % 3 != 2 else True
                i += 1
                self.done += 1
        except Exception as error:
            self.errors.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        assert not self.errors, self.errors
        assert self.done > 0


def check_all(cluster, macs):
    session = session_of(cluster)
    for key, mac in macs.items():
        assert session.sign(key, CMAC, MESSAGE) == mac


@pytest.fixture
def slow(tmp_path):
    """A cluster that takes its time to seal anew."""
    with Cluster(3, folder=tmp_path / "slow", settings={"rotation-pause-ms": 40}) as made:
        yield made


def test_under_load_every_node_that_works_on_it_dies(slow):
    """Whichever node seals is killed, again and again; another goes on where it was."""
    session = session_of(slow)
    names = {info.id: info.name for info in client(slow).describe().nodes}
    for i in range(400):
        session.key_generate_aes(f"many {i}")
    n_killed = 0
    with Load(slow) as load:
        session_of(slow, slow.ADMIN).rotate_key()
        while n_killed < 2:
            info = client(slow).masking_key()
            assert info.phase in ("sealing", "checking"), "nobody was killed in time"
            worker = next((node for node in slow.nodes if node.name == names.get(info.worker_id)), None)
            if worker and worker.running():
                worker.kill()
                n_killed += 1
                time.sleep(0.1)
                worker.start().wait_ready(listening=True)
        wait_until(lambda: settled(slow, 2), 60)
    assert set(generations_in_store(slow.folder / "store.db")) == {2}
    check_all(slow, load.macs)


def test_all_nodes_die_in_the_middle(slow):
    cluster = slow
    session = session_of(cluster)
    macs = {}
    for i in range(300):
        key = session.key_generate_aes(f"many {i}")
        macs[key] = session.sign(key, CMAC, MESSAGE)
    session_of(cluster, cluster.ADMIN).rotate_key()
    for node in cluster.nodes:
        node.kill()
    for node in cluster.nodes:
        node.start()
        node.wait_ready(listening=True)
    wait_until(lambda: settled(cluster, 2), 60)
    assert set(generations_in_store(cluster.folder / "store.db")) == {2}
    check_all(cluster, macs)


def test_a_backup_of_the_middle_opens(tmp_path):
    """It holds both keys; the cluster that is made of it goes on with the rotation."""
    backups = tmp_path / "backups"
    backups.mkdir(mode=0o700)
    settings = {"backup-to": f"directory:{backups}", "backup-interval-s": 0}
    with Cluster(1, folder=tmp_path / "cluster", settings=settings) as cluster:
        session = session_of(cluster)
        macs = {}
        for i in range(500):
            key = session.key_generate_aes(f"many {i}")
            macs[key] = session.sign(key, CMAC, MESSAGE)
        session_of(cluster, cluster.ADMIN).rotate_key()
        cluster.run("backup", "create", user=cluster.ADMIN)
        restored = Cluster(1, folder=tmp_path / "restored", settings={"backup-interval-s": 0})
        try:
            restored.restore("--from", f"directory:{backups}", recovery=cluster.recovery, passwords=cluster.passwords)
            wait_until(lambda: settled(restored, 2))
            check_all(restored, macs)
            assert set(generations_in_store(restored.folder / "store.db")) == {2}
        finally:
            restored.close()


def test_on_etcd_with_its_leader_lost(tmp_path):
    with Etcd(tmp_path / "etcd") as etcd, Cluster(3, folder=tmp_path / "cluster", settings=etcd.settings,
                                                  client={"timeout-ms": 30000}) as cluster:
        with Load(cluster, 2) as load:
            time.sleep(1)
            session_of(cluster, cluster.ADMIN).rotate_key(3)
            leader = etcd.leader()
            leader.kill()
            wait_until(lambda: settled(cluster, 2), 60)
            leader.start()
        check_all(cluster, load.macs)
        found = etcd.ctl("get", "--prefix", "/libhsm/cluster", "--print-value-only")
        assert found.split()[2] == "2"  # the floor
        wait_until(lambda: client(cluster).masking_key().phase == "none")
        check_all(cluster, load.macs)


def test_a_value_under_the_key_before_is_refused_by_the_store(cluster):
    """The store's floor, which every write is held to."""
    rotate(cluster, 2)
    with sqlite3.connect(f"file:{cluster.folder / 'store.db'}?mode=ro", uri=True) as database:
        assert database.execute("SELECT value FROM meta WHERE name = 'generation'").fetchone() == (2,)


def test_the_command_shows_and_waits(cluster):
    made = cluster.json("cluster", "rotate-key", "--grace", "0", user=cluster.ADMIN)
    assert made["generation"] == 2 and made["replacement"] in ("none", "grace")
    assert made["records_done"] > 0
    wait_until(lambda: cluster.json("cluster", "masking-key")["replacement"] == "none")
    wait_until(lambda: cluster.run("cluster", "rotate-key", "--background", user=cluster.ADMIN, check=False).returncode == 0)
    assert cluster.json("cluster", "masking-key")["generation"] == 3


def test_damaged_records_hold_it_up_until_they_are_given_up(cluster):
    session = session_of(cluster)
    kept, lost = session.key_generate_aes("kept"), session.key_generate_aes("lost")
    with sqlite3.connect(cluster.folder / "store.db", timeout=10) as database:
        (value,) = database.execute("SELECT value FROM records WHERE id = ?", (bytes(lost.id),)).fetchone()
        database.execute("UPDATE records SET value = ? WHERE id = ?", (value[:-1] + bytes([value[-1] ^ 1]), bytes(lost.id)))

    refused = cluster.run("cluster", "give-up-damaged", "--yes", user=cluster.ADMIN, check=False)
    assert refused.returncode == 1 and b"no damaged records" in refused.stderr
    done = cluster.run("cluster", "rotate-key", user=cluster.ADMIN, check=False)
    assert done.returncode == 1 and b"1 damaged records hold the replacement up" in done.stderr
    shown = cluster.json("cluster", "masking-key")
    assert shown["replacement"] == "checking" and shown["damaged_records"] == 1
    assert any(bytes(lost.id).hex() in node.log.read_text() for node in cluster.nodes)
    session.sign(kept, CMAC, MESSAGE)

    cluster.run("cluster", "give-up-damaged", "--yes", user=cluster.ADMIN)
    wait_until(lambda: settled(cluster, 2))
    session.sign(kept, CMAC, MESSAGE)
