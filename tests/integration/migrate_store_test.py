"""A cluster moves from SQLite to etcd and back: every object, user and audit entry is there afterwards, and the old store
takes no more writes."""
import pytest

import hsm
from fixture.cluster import Cluster
from fixture.etcd import Etcd

ECDSA = hsm.Mechanism(hsm.MECHANISM_ECDSA, hash=hsm.HASH_SHA256)
N_OBJECTS = 250  # more than one transaction of etcd holds


@pytest.fixture(scope="module")
def etcd(tmp_path_factory):
    with Etcd(tmp_path_factory.mktemp("etcd"), n_members=1) as started:
        yield started


@pytest.fixture
def cluster(etcd, tmp_path, request):
    settings = {name: value for name, value in etcd.settings.items() if name != "store"}
    settings["etcd-prefix"] = f"/{request.node.name}"
    with Cluster(2, folder=tmp_path / "cluster", settings=settings) as made:
        yield made


def open_session(cluster):
    session = hsm.Cluster(hsm.Config(cluster.config)).session()
    session.login(cluster.USER, cluster.password(cluster.USER))
    return session


def use_store(cluster, store):
    """What an operator does after the move."""
    for node in cluster.nodes:
        node.stop()
        node.settings["store"] = store
        node.write_config()
        node.start()
        node.wait_ready(listening=True)


def move(cluster, target, check=True):
    return cluster.run("cluster", "migrate-store", "--endpoint", cluster.nodes[0].socket, "--to", target, config=False,
                       check=check)


def state_of(cluster):
    session = open_session(cluster)
    objects = {key: session.object_get(key, ["LABEL", "CLASS"]) for key in session.find({})}
    users = cluster.json("user", "list", user=cluster.ADMIN)
    cluster.run("audit", "verify", user=cluster.ADMIN)
    return objects, users



def test_there_and_back(cluster, etcd, tmp_path):
    session = open_session(cluster)
    public, private = session.key_pair_generate_ec("signer", hsm.CURVE_P256)
    for n in range(N_OBJECTS):
        session.object_create({"CLASS": hsm.CLASS_DATA, "LABEL": f"object-{n}", "TOKEN": True, "VALUE": b"v" * n})
    before = state_of(cluster)
    revision = cluster.json("cluster", "describe")["revision"]

    moved = move(cluster, "etcd")
    assert b"checked the copy" in moved.stdout
    with pytest.raises(hsm.Error) as refused:
        session.object_create({"CLASS": hsm.CLASS_DATA, "LABEL": "late", "TOKEN": True, "VALUE": b"v"})
    assert "moved to etcd" in str(refused.value)
    session.verify(public, ECDSA, b"data", session.sign(private, ECDSA, b"data"))

    use_store(cluster, "etcd")
    assert state_of(cluster) == before
    assert cluster.json("cluster", "describe")["revision"] > revision
    # A client that was there all the time goes on, with the revision that it had seen.
    session.verify(public, ECDSA, b"data", session.sign(private, ECDSA, b"data"))
    session.object_create({"CLASS": hsm.CLASS_DATA, "LABEL": "made in etcd", "TOKEN": True, "VALUE": b"v"})
    in_etcd = state_of(cluster)

    store = f"sqlite:{tmp_path / 'back.db'}"
    move(cluster, store)
    assert "moved to sqlite" in etcd.ctl("get", "/test_there_and_back/cluster", "--print-value-only")
    with pytest.raises(hsm.Error):
        session.object_create({"CLASS": hsm.CLASS_DATA, "LABEL": "late", "TOKEN": True, "VALUE": b"v"})
    use_store(cluster, store)
    assert state_of(cluster) == in_etcd
    session.object_create({"CLASS": hsm.CLASS_DATA, "LABEL": "made after", "TOKEN": True, "VALUE": b"v"})


def test_a_target_that_is_not_empty_is_left_alone(cluster, etcd):
    etcd.ctl("put", "/test_a_target_that_is_not_empty_is_left_alone/cluster", "somebody else's")
    refused = move(cluster, "etcd", check=False)
    assert refused.returncode and b"somebody else's" in refused.stderr
    session = open_session(cluster)
    session.object_create({"CLASS": hsm.CLASS_DATA, "LABEL": "still here", "TOKEN": True, "VALUE": b"v"})


def test_a_move_that_was_interrupted_goes_on(cluster, etcd):
    """The node dies after it closed the source and before it opened the target."""
    session = open_session(cluster)
    public, private = session.key_pair_generate_ec("signer", hsm.CURVE_P256)
    prefix = "/test_a_move_that_was_interrupted_goes_on"
    move(cluster, "etcd")
    etcd.ctl("del", f"{prefix}/cluster")
    move(cluster, "etcd")
    use_store(cluster, "etcd")
    session = open_session(cluster)
    session.verify(public, ECDSA, b"data", session.sign(private, ECDSA, b"data"))


def test_a_move_back_that_was_interrupted_goes_on(cluster, etcd, tmp_path):
    """The node dies after the copy was made and before etcd was closed for good."""
    session = open_session(cluster)
    public, private = session.key_pair_generate_ec("signer", hsm.CURVE_P256)
    move(cluster, "etcd")
    use_store(cluster, "etcd")
    key = "/test_a_move_back_that_was_interrupted_goes_on/cluster"
    text = etcd.ctl("get", key, "--print-value-only").strip()
    store = f"sqlite:{tmp_path / 'back.db'}"
    move(cluster, store)
    etcd.ctl("put", key, f"moving {text}")
    move(cluster, store)
    assert "moved to sqlite" in etcd.ctl("get", key, "--print-value-only")
    use_store(cluster, store)
    open_session(cluster).verify(public, ECDSA, b"data", session.sign(private, ECDSA, b"data"))


def test_without_etcd_nothing_happens(cluster):
    cluster.nodes[0].stop()
    cluster.nodes[0].settings["etcd-endpoints"] = ["https://127.0.0.1:1"]
    cluster.nodes[0].write_config()
    cluster.nodes[0].start()
    cluster.nodes[0].wait_ready(listening=True)
    refused = move(cluster, "etcd", check=False)
    assert refused.returncode and b"etcd" in refused.stderr
    open_session(cluster).object_create({"CLASS": hsm.CLASS_DATA, "LABEL": "still here", "TOKEN": True, "VALUE": b"v"})
