"""A cluster whose administrators' credentials are lost cannot be entered: not by activating it again, not over a node's own socket,
not by its store or its state folder, not by a node that was not admitted, not with a client's certificate."""
import json
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

import hsm
from fixture.cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def lost(tmp_path):
    """Nobody knows any password any more."""
    with Cluster(2, folder=tmp_path / "lost", settings={"backup-interval-s": 0}) as made:
        session = hsm.Cluster(hsm.Config(made.config)).session()
        session.login(made.USER, made.password(made.USER))
        session.key_generate_aes("a key")
        for path in made.passwords.values():
            path.write_text("nobody knows it")
        yield made


def refused(cluster, *words, user=None, config=True, says):
    done = cluster.run(*words, user=user, config=config, check=False)
    assert done.returncode != 0, words
    assert any(text in done.stderr.decode() for text in says), done.stderr.decode()


def test_it_cannot_be_activated_again(lost):
    for user in (lost.ADMIN, "usurper"):
        lost.set_password(user, "a new and long password")
        refused(lost, "cluster", "activate", "--recovery-shares", "none", user=user, says=["already"])


def test_the_nodes_own_socket_makes_no_users(lost):
    """Root on a node's machine has the socket; it is for the node's life, not for users and keys."""
    socket = lost.nodes[0].socket
    local = hsm.Cluster.endpoint(socket)
    session = local.session()
    for call, arguments in ((session.user_create, ("eve", "a long password", hsm.ROLE_ADMIN)), (session.user_delete, (lost.ADMIN,)),
                            (session.user_change_password, (lost.ADMIN, None, "a long password")),
                            (session.key_generate_aes, ("mine",)), (session.audit_read, ()), (session.backup_create, ()),
                            (session.quorum_set, ("user", 0)), (lambda: list(session.find({})), ())):
        with pytest.raises(hsm.NotLoggedIn):
            call(*arguments)
    with pytest.raises(hsm.ClusterState):
        local.create("another")
    with pytest.raises(hsm.ClusterState):
        local.restore(hsm.recovery_key_make())
    refused(lost, "cluster", "create", "--endpoint", socket, config=False, says=["belongs to cluster"])


def test_passwords_are_not_guessed(lost):
    session = hsm.Cluster(hsm.Config(lost.config)).session()
    answers = []
    for guess in ("admin", "password", "1234", "", "nobody knows it") * 2:
        with pytest.raises(hsm.Error) as error:
            session.login(lost.ADMIN, guess)
        answers.append(type(error.value))
    assert hsm.UserLocked in answers


def test_no_password_comes_with_it():
    """No default credentials in anything that is installed."""
    text = subprocess.run(["git", "grep", "-nIi", "default password\\|changeme\\|password *= *[\"']", "--", "node", "libhsm", "cli",
                           "protocol", "packaging", "samples/systemd"], cwd=ROOT, capture_output=True, text=True).stdout
    assert text == ""


def stop_all(cluster):
    for node in cluster.nodes:
        node.stop()


def wipe_store(cluster):
    """The database, its write-ahead log, and the folder in which the nodes say that they are there."""
    for path in cluster.folder.glob("store.db*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_a_changed_store_is_noticed(lost):
    """Whoever can write the store forges no administrator: a record that was moved, copied or made up does not open."""
    stop_all(lost)
    store = lost.folder / "store.db"
    kept = store.read_bytes()
    for change in ("DELETE FROM records WHERE kind = 3",  # no users: the cluster record says that it is active
                   "UPDATE records SET value = (SELECT value FROM records WHERE kind = 6 LIMIT 1) WHERE kind = 3",
                   "UPDATE records SET value = zeroblob(400) WHERE kind = 1", "DELETE FROM records WHERE kind = 1"):
        with sqlite3.connect(store) as database:
            database.execute(change)
        database.close()
        node = lost.nodes[0]
        try:
            node.start()
        except Exception:
            pass  # refused to start: as good
        if node.running():
            lost.set_password("usurper", "a new and long password")
            for user in (lost.ADMIN, "usurper"):
                done = lost.run("cluster", "activate", "--recovery-shares", "none", user=user, check=False)
                assert done.returncode != 0, change
                assert lost.run("key", "list", user=user, check=False).returncode != 0, change
            node.stop()
        wipe_store(lost)
        store.write_bytes(kept)


def test_an_empty_store_is_no_fresh_cluster(lost):
    """Else whoever deletes the store could activate the cluster anew, with the old nodes' certificates."""
    stop_all(lost)
    wipe_store(lost)
    with pytest.raises(Exception, match="holds no cluster"):
        lost.nodes[0].start()


def test_a_strangers_node_is_not_admitted(lost, tmp_path):
    """It has a certificate of the cluster's CA, and the store; without an administrator's approval it gets no masking key."""
    stranger = Cluster(1, folder=tmp_path / "stranger", settings={"store": f"sqlite:{lost.folder / 'store.db'}"})
    node = stranger.nodes[0].start()
    try:
        local = hsm.Cluster.endpoint(node.socket)
        csr = tmp_path / "stranger.csr"
        csr.write_text(local.node_csr()[0])
        stranger.run("ca", "sign", "--directory", lost.ca, "--role", "node", "--csr", csr, "--out", tmp_path / "stranger.pem",
                     config=False)
        certificate, ca = (tmp_path / "stranger.pem").read_text(), (lost.ca / "ca.pem").read_text()
        for handover in (b"", b"\x80", bytes(500)):
            with pytest.raises(hsm.Error):
                local.node_admit(certificate, ca, handover)
        with pytest.raises(hsm.NotLoggedIn):
            hsm.Cluster(hsm.Config(lost.config)).session().node_approve(certificate)
        # Nor does it become the cluster by founding one on the store.
        local.create("demo")
        with pytest.raises(hsm.Error):
            local.initialize(certificate, ca)
    finally:
        stranger.close()


def test_the_state_folder_alone_is_no_login(lost, tmp_path):
    """A copy of a node's state folder is a node: its clients still need passwords."""
    lost.nodes[0].stop()
    copy = tmp_path / "copy"
    shutil.copytree(lost.nodes[0].state, copy)
    (copy / "ready.json").unlink(missing_ok=True)
    lost.nodes[0].settings["state-folder"] = str(copy)
    lost.nodes[0].state = copy
    lost.nodes[0].write_config()
    lost.nodes[0].start()
    session = hsm.Cluster(hsm.Config(lost.config)).session()
    with pytest.raises(hsm.LoginFailed):
        session.login(lost.ADMIN, "a guess that is wrong")
    with pytest.raises(hsm.NotLoggedIn):
        session.user_create("eve", "a long password", hsm.ROLE_ADMIN)
    text = json.dumps([path.read_bytes().hex() for path in copy.iterdir() if path.is_file()])
    assert not re.search("a long password".encode().hex(), text)
