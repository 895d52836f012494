"""Backups in a directory: all of a cluster comes back in a new one, and nothing that is not a whole backup of it does."""
import os
import re
import shutil
import time

import pytest

import hsm
from fixture.cluster import Cluster

ECDSA = hsm.Mechanism(hsm.MECHANISM_ECDSA, hash=hsm.HASH_SHA256)
N_KEYS = 300


@pytest.fixture
def destination(tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


@pytest.fixture
def source(tmp_path, destination):
    with Cluster(2, folder=tmp_path / "source", settings=settings_for(destination)) as made:
        yield made


def settings_for(destination, **more):
    return {"backup-to": f"directory:{destination}", "backup-interval-s": 0, **more}


def open_session(cluster, user=None):
    session = hsm.Cluster(hsm.Config(cluster.config)).session()
    session.login(user or cluster.USER, cluster.password(user or cluster.USER))
    return session


def backup(cluster):
    return cluster.json("backup", "create", user=cluster.ADMIN)["name"]


def new_cluster(tmp_path, destination, n_nodes=1, name="restored", **settings):
    return Cluster(n_nodes, folder=tmp_path / name, settings=settings_for(destination, **settings))


def restore(made, source, *arguments, recovery=None):
    return made.restore(*arguments, recovery=recovery or source.recovery, passwords=source.passwords)


def fails(cluster, *words, says, user=None, config=True, status=1):
    done = cluster.run(*words, user=user, config=config, check=False)
    assert done.returncode == status, done.stdout.decode() + done.stderr.decode()
    assert says in done.stderr.decode(), done.stderr.decode()


def node_id(cluster, name):
    return next(node["id"] for node in cluster.json("cluster", "describe")["nodes"] if node["name"] == name)


def test_everything_comes_back_in_a_new_cluster(source, destination, tmp_path):
    session = open_session(source)
    public, private = session.key_pair_generate_ec("signer", hsm.CURVE_P256)
    secrets = [session.key_generate_aes(f"key {n}") for n in range(N_KEYS)]
    source.set_password("auditor", "the auditor's password")
    source.run("user", "create", "auditor", "--role", "auditor", "--new-password-file", source.passwords["auditor"],
               user=source.ADMIN)
    signature = session.sign(private, ECDSA, b"message")
    old_id = source.json("cluster", "describe")["id"]
    old_node = node_id(source, "node1")
    name = backup(source)
    late = session.key_generate_aes("too late")

    with_backup = new_cluster(tmp_path, destination, n_nodes=2)
    try:
        restore(with_backup, source)
        described = with_backup.json("cluster", "describe")
        assert described["id"] != old_id and described["state"] == "active"
        assert sorted(node["name"] for node in described["nodes"]) == ["node1", "node2"]
        assert node_id(with_backup, "node1") != old_node
        restored = open_session(with_backup)
        restored.verify(public, ECDSA, b"message", signature)
        session.verify(public, ECDSA, b"message", restored.sign(private, ECDSA, b"message"))
        assert {*restored.find({})} == {*session.find({})} - {late}
        assert len(secrets) == N_KEYS and list(restored.find({"LABEL": "too late"})) == []
        assert sorted(user["name"] for user in with_backup.json("user", "list")) == ["admin", "auditor", "crypto"]
        # The audit log of the old cluster's nodes is there to its end, and continues nowhere.
        for user in (with_backup.ADMIN, "auditor"):
            with_backup.run("audit", "verify", user=user)
        page = open_session(with_backup, "auditor").audit_read(bytes.fromhex(old_node))
        assert page.n_total > N_KEYS / 2
        # A backup of the restored cluster is one of its own, under the same recovery key.
        again = backup(with_backup)
        with_backup.run("backup", "verify", again, user=with_backup.ADMIN)
        assert again.split("-")[0] == described["id"][:8] and name.split("-")[0] == old_id[:8]
    finally:
        with_backup.close()


def test_logins_of_the_old_cluster_do_not_hold_in_the_new(source, destination, tmp_path):
    session = open_session(source)
    key = session.key_generate_aes("k")
    backup(source)
    made = new_cluster(tmp_path, destination)
    try:
        restore(made, source)
        for node in source.nodes:
            node.stop()
        # The old cluster's clients know another cluster id, and another CA; even the right CA does not make it theirs.
        with pytest.raises(hsm.Error):
            session.object_get(key, ["LABEL"])
    finally:
        made.close()


def test_what_is_no_whole_backup_is_refused_and_leaves_nothing(source, destination, tmp_path):
    session = open_session(source)
    first = backup(source)
    for n in range(N_KEYS):
        session.key_generate_aes(f"key {n}")
    name = backup(source)
    good, older = (destination / name).read_bytes(), (destination / first).read_bytes()
    length = len(good)
    assert length > 30_000

    made = new_cluster(tmp_path, destination)
    made.nodes[0].start()

    def refused(content, says, called=name):
        (destination / called).write_bytes(content)
        words = ("--backup", called)
        fails(made, "cluster", "restore", "--endpoint", made.nodes[0].socket, "--recovery-file", source.recovery, *words,
              config=False, says=says)
        fails(source, "backup", "verify", called, user=source.ADMIN, says=says)
        (destination / called).write_bytes(good)

    try:
        damaged = bytearray(good)
        for at, says in ((3, "no backup"), (40, "backup"), (length // 2, "was altered, or is damaged"),
                         (length - 1, "was altered, or is damaged")):
            damaged[:] = good
            damaged[at] ^= 1
            refused(bytes(damaged), says)
        for length_left in (0, 10, 200, length // 2, length - 1):
            refused(good[:length_left], "cut off")
        # Cut off exactly where a part ends.
        header = int.from_bytes(good[16:20], "big")
        manifest = int.from_bytes(good[20 + header:24 + header], "big") & 0x7FFFFFFF
        refused(good[:24 + header + manifest], "cut off")
        refused(good + b"x", "follows the backup's end")
        refused(older, f"not what its name says: it is {first}")
        # Parts of two backups.
        older_header = int.from_bytes(older[16:20], "big")
        refused(good[:20 + header] + older[20 + older_header:], "was altered, or is damaged")
        # Another cluster's recovery key.
        other = tmp_path / "other.key"
        key = hsm.recovery_key_make()
        other.write_text(hsm.recovery_key_split(key, 1, 1)[0] + "\n")
        fails(made, "cluster", "restore", "--endpoint", made.nodes[0].socket, "--recovery-file", other, "--backup", name,
              config=False, says="another cluster's")
        # Nothing of all that is left: the same node takes the good one.
        restore(made, source)
        assert len(list(open_session(made).find({}))) == N_KEYS
        # And no second one.
        fails(made, "cluster", "restore", "--endpoint", made.nodes[0].socket, "--recovery-file", source.recovery,
              config=False, says="a backup is restored into a new cluster")
    finally:
        made.close()


def test_a_store_that_is_in_use_is_not_restored_into(source, destination, tmp_path):
    backup(source)
    made = new_cluster(tmp_path, destination, store=f"sqlite:{source.folder / 'store.db'}")
    try:
        made.nodes[0].start()
        fails(made, "cluster", "restore", "--endpoint", made.nodes[0].socket, "--recovery-file", source.recovery,
              config=False, says="holds a cluster already")
        assert list(open_session(source).find({})) == []
    finally:
        made.close()


def test_shares(source, destination, tmp_path):
    made = Cluster(1, folder=tmp_path / "shared", settings=settings_for(destination))
    try:
        first = made.nodes[0].start()
        made.run("cluster", "create", "--endpoint", first.socket, "--name", "demo", "--csr", made.folder / "node1.csr",
                 config=False)
        made.initialize(first)
        shown = made.run("cluster", "activate", "--recovery-shares", "3/5", user=made.ADMIN).stdout.decode()
        shares = re.findall(r"HSMRK\S+", shown)
        assert len(shares) == 5
        key = hsm.recovery_key_join(shares[1:4])
        assert key == hsm.recovery_key_join([shares[4].lower().replace("-", " "), shares[0], shares[2]])
        for wrong, says in ((shares[:2], "2 of the 3"), ([shares[0], shares[0], shares[1]], "the same"),
                            ([shares[0], shares[1][:20] + ("0" if shares[1][20] != "0" else "1") + shares[1][21:]], "mistyped"),
                            ([shares[0], shares[1][:-2]], "not complete"),
                            ([*shares[:2], hsm.recovery_key_split(hsm.recovery_key_make(), 3, 5)[2]], "another")):
            with pytest.raises(hsm.InvalidArgument) as error:
                hsm.recovery_key_join(wrong)
            assert says in str(error.value)
        backup(made)
        for name in destination.iterdir():
            if name.name[:8] != made.json("cluster", "describe")["id"][:8]:
                name.unlink()
        # What activation printed is what a restore reads.
        (tmp_path / "printed").write_text("\n".join(line for line in shown.splitlines() if "5  " not in line))
        second = new_cluster(tmp_path, destination)
        try:
            restore(second, made, recovery=tmp_path / "printed")
        finally:
            second.close()
    finally:
        made.close()


def test_any_shares_of_the_threshold_give_the_key_back():
    key = hsm.recovery_key_make()
    for threshold, n in ((1, 1), (1, 3), (2, 2), (2, 3), (5, 9), (255, 255)):
        shares = hsm.recovery_key_split(key, threshold, n)
        assert len({*shares}) == n
        assert hsm.recovery_key_join(shares[n - threshold:]) == key
        assert hsm.recovery_key_join(shares[:threshold][::-1]) == key
    for threshold, n in ((0, 1), (2, 1), (1, 256)):
        with pytest.raises(hsm.InvalidArgument):
            hsm.recovery_key_split(key, threshold, n)


def test_without_a_recovery_key_or_a_destination(tmp_path, destination):
    made = Cluster(1, folder=tmp_path / "without", settings={"backup-interval-s": 0})
    try:
        first = made.nodes[0].start()
        made.run("cluster", "create", "--endpoint", first.socket, "--name", "demo", "--csr", made.folder / "node1.csr",
                 config=False)
        made.initialize(first)
        made.run("cluster", "activate", "--recovery-shares", "none", user=made.ADMIN)
        fails(made, "backup", "create", user=made.ADMIN, says="set backup-to", status=1)
        first.settings.update(settings_for(destination))
        first.write_config()
        first.stop()
        first.start()
        first.wait_ready(listening=True)
        fails(made, "backup", "create", user=made.ADMIN, says="without a recovery key")
        assert list(destination.iterdir()) == []
    finally:
        made.close()


def test_only_administrators(source):
    name = backup(source)
    for words in (("create",), ("list",), ("verify", name), ("delete", name, "--yes")):
        done = source.run("backup", *words, user=source.USER, check=False)
        assert done.returncode == 4, done.stderr


def test_list_and_delete(source, destination):
    names = [backup(source), backup(source)]
    rows = source.json("backup", "list", user=source.ADMIN)
    assert [row["name"] for row in rows] == sorted(names, key=lambda name: int(re.search(r"-r(\d+)-", name)[1]))
    assert all(row["bytes"] == (destination / row["name"]).stat().st_size for row in rows)
    assert (destination / names[0]).stat().st_mode & 0o777 == 0o600
    source.run("backup", "delete", names[0], "--yes", user=source.ADMIN)
    assert [path.name for path in destination.iterdir()] == [names[1]]
    fails(source, "backup", "delete", names[0], "--yes", user=source.ADMIN, says="has no backup", status=3)
    for name in ("../source/store.db", "store.db", names[0] + "x", "a" * 500):
        done = source.run("backup", "delete", name, "--yes", user=source.ADMIN, check=False)
        assert done.returncode == 1, done.stderr


def test_automatic_backups_are_shared_and_expire(tmp_path, destination):
    """Three nodes, one destination, one backup per interval; an old one goes, another cluster's stays."""
    settings = settings_for(destination, **{"backup-interval-s": 2, "backup-keep-days": 1})
    other = "00000000-20200101T000000Z-r5-" + "0" * 32 + ".hsmbackup"
    (destination / other).write_bytes(b"another cluster's")
    with Cluster(3, folder=tmp_path / "automatic", settings=settings) as made:
        own = made.json("cluster", "describe")["id"][:8]
        old = f"{own}-20200101T000000Z-r5-{'0' * 32}.hsmbackup"
        (destination / old).write_bytes(b"this cluster's, long ago")
        begin, n_first = time.monotonic(), len(list(destination.glob(f"{own}-2*")))
        deadline = begin + 30
        while len(list(destination.glob(f"{own}-2*"))) < n_first + 3 or (destination / old).exists():
            assert time.monotonic() < deadline, made.nodes[0].log_tail()
            time.sleep(0.1)
        made_in = time.monotonic() - begin
        n_new = len(list(destination.glob(f"{own}-2*"))) - n_first
        assert n_new <= made_in / 2 * 2 + 3  # at most two nodes that look at the same moment
        assert (destination / other).exists()
        name = sorted(path.name for path in destination.glob(f"{own}-2*"))[-1]
        made.run("backup", "verify", name, user=made.ADMIN)


def test_a_failed_automatic_backup_is_told(tmp_path, destination):
    with Cluster(1, folder=tmp_path / "failing", settings=settings_for(destination, **{"backup-interval-s": 1})) as made:
        shutil.rmtree(destination)
        deadline = time.monotonic() + 20
        while "no automatic backup" not in made.nodes[0].log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_an_interrupted_backup_leaves_no_backup(source, destination):
    session = open_session(source)
    for n in range(N_KEYS):
        session.key_generate_aes(f"key {n}")
    # The first node dies with a backup in its hands: what it wrote is no backup, and the other node makes one.
    part = destination / ".dead.hsmbackup.part"
    part.write_bytes(b"half")
    name = backup(source)
    assert [row["name"] for row in source.json("backup", "list", user=source.ADMIN)] == [name]
    assert part.exists()  # it might be another node's that is at work
    os.utime(part, (time.time() - 7200, time.time() - 7200))
    backup(source)
    assert not part.exists()
