"""Backups on bad days: nodes killed while they make or restore one, a full disk, etcd as source and as target."""
import os
import subprocess
import time
from pathlib import Path

import pytest

import hsm
from fixture.cluster import Cluster, program_environment
from fixture.etcd import Etcd

N_OBJECTS = 400
VALUE = bytes(16_000)


@pytest.fixture
def destination(tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


def as_root():
    """Options of unshare for whoever is not root: root in a user namespace."""
    return [] if os.geteuid() == 0 else ["--map-root-user"]


def settings_for(destination, **more):
    return {"backup-to": f"directory:{destination}", "backup-interval-s": 0, **more}


def open_session(cluster):
    session = hsm.Cluster(hsm.Config(cluster.config)).session()
    session.login(cluster.USER, cluster.password(cluster.USER))
    return session


def fill(cluster, n=N_OBJECTS):
    session = open_session(cluster)
    return {session.object_create({"CLASS": hsm.CLASS_DATA, "LABEL": f"data {i}", "TOKEN": True, "VALUE": VALUE})
            for i in range(n)}


def begin(cluster, *arguments, user=None):
    command = [cluster.hsm, *arguments]
    if user:
        command[1:1] = ["--config", cluster.config, "--user", user, "--password-file", cluster.passwords[user]]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            env=program_environment())


def test_a_node_killed_while_it_makes_a_backup(tmp_path, destination):
    """What it wrote never counts as a backup, and the call goes on at another node."""
    with Cluster(2, folder=tmp_path / "source", settings=settings_for(destination)) as made:
        fill(made)
        for delay_ms in (0, 5, 10, 20, 40):
            before = {path.name for path in destination.glob("*.hsmbackup")}
            call = begin(made, "backup", "create", user=made.ADMIN)
            # Begun: the node's file is there. Then it dies, sooner or later.
            deadline = time.monotonic() + 20
            while call.poll() is None and not list(destination.glob(".*.part")) and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(delay_ms / 1000)
            made.nodes[0].kill()
            assert call.wait(60) == 0, call.stderr.read()
            after = {path.name for path in destination.glob("*.hsmbackup")}
            assert after > before
            for name in after - before:
                made.run("backup", "verify", name, user=made.ADMIN)
            for part in destination.glob(".*.part"):
                part.unlink()
            made.nodes[0].start()
            made.nodes[0].wait_ready(listening=True)


def test_a_node_killed_while_it_restores(tmp_path, destination):
    with Cluster(1, folder=tmp_path / "source", settings=settings_for(destination)) as made:
        keys = fill(made)
        made.run("backup", "create", user=made.ADMIN)
        restored = Cluster(1, folder=tmp_path / "restored", settings=settings_for(destination))
        node = restored.nodes[0]
        try:
            for delay_ms in (1, 10, 25, 50, 100):
                node.start()
                call = begin(restored, "cluster", "restore", "--endpoint", node.socket, "--recovery-file", made.recovery)
                time.sleep(delay_ms / 1000)
                node.kill()
                call.kill()
                call.wait()
            node.start()
            arguments = ("cluster", "restore", "--endpoint", node.socket, "--recovery-file", made.recovery, "--csr",
                         restored.folder / "node1.csr")
            again = restored.run(*arguments, config=False, check=False)
            if again.returncode:  # it was done already, by one that was killed late
                assert b"belongs to cluster demo" in again.stderr
                csr = hsm.Cluster.endpoint(node.socket).node_csr()[0]
                (restored.folder / "node1.csr").write_text(csr)
            restored.initialize(node)
            restored.passwords.update(made.passwords)
            assert {*open_session(restored).find({})} == keys
        finally:
            restored.close()


def test_a_full_disk_keeps_no_part_of_a_backup(tmp_path, destination):
    made = Cluster(1, folder=tmp_path / "source", settings=settings_for(destination))
    made.node_wrapper = ["unshare", "--mount", *as_root(), "sh", "-c",
                         f'mount -t tmpfs -o size=2m tmpfs {destination} && exec "$@"', "sh"]
    with made:
        keys = fill(made, 150)
        done = made.run("backup", "create", user=made.ADMIN, check=False)
        assert done.returncode == 1 and b"No space left" in done.stderr and b"make room" in done.stderr
        assert list(Path(f"/proc/{made.nodes[0].process.pid}/root{destination}").iterdir()) == []
        assert {*open_session(made).find({})} == keys


@pytest.mark.parametrize("to_etcd", [True, False])
def test_a_cluster_on_etcd(tmp_path, destination, to_etcd):
    with Etcd(tmp_path / "etcd", n_members=1) as etcd:
        with Cluster(2, folder=tmp_path / "source", settings=settings_for(destination, **etcd.settings)) as made:
            keys = fill(made, 150)  # more than one transaction of etcd holds
            name = made.json("backup", "create", user=made.ADMIN)["name"]
            made.run("backup", "verify", name, user=made.ADMIN)
            settings = {**etcd.settings, "etcd-prefix": "/restored"} if to_etcd else {}
            restored = Cluster(2, folder=tmp_path / "restored", settings=settings_for(destination, **settings))
            try:
                if to_etcd:  # not over the one that is there
                    node = restored.nodes[0]
                    node.settings["etcd-prefix"] = etcd.settings.get("etcd-prefix", "/libhsm")
                    node.write_config()
                    node.start()
                    done = restored.run("cluster", "restore", "--endpoint", node.socket, "--recovery-file", made.recovery,
                                        config=False, check=False)
                    assert done.returncode == 1 and b"etcd holds a cluster under" in done.stderr
                    node.stop()
                    node.settings["etcd-prefix"] = "/restored"
                    node.write_config()
                restored.restore(recovery=made.recovery, passwords=made.passwords)
                session = open_session(restored)
                assert {*session.find({})} == keys
                session.key_generate_aes("new")
                restored.run("audit", "verify", user=restored.ADMIN)
                assert {*open_session(made).find({})} == keys
            finally:
                restored.close()
