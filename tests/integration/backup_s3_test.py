"""Backups in a bucket: signed requests to a server that checks them, in one piece and in parts, and its bad days."""
import signal
import time

import pytest

import hsm
from fixture.cluster import Cluster
from fixture.s3 import S3

LARGE = 16_000  # bytes of a data object; enough of them make a backup of several parts
N_LARGE = 1_100


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    with S3(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture
def source(s3, tmp_path, request):
    with Cluster(2, folder=tmp_path / "source", settings=s3.settings(request.node.name)) as made:
        yield made


def open_session(cluster):
    session = hsm.Cluster(hsm.Config(cluster.config)).session()
    session.login(cluster.USER, cluster.password(cluster.USER))
    return session


def restored(s3, source, tmp_path, prefix, *arguments):
    made = Cluster(1, folder=tmp_path / "restored", settings=s3.settings(prefix))
    try:
        return made.restore(*arguments, recovery=source.recovery, passwords=source.passwords)
    except BaseException:
        made.close()
        raise


def test_a_small_backup(s3, source, tmp_path, request):
    session = open_session(source)
    key = session.key_generate_aes("a key")
    name = source.json("backup", "create", user=source.ADMIN)["name"]
    assert s3.names() == [f"{request.node.name}/{name}"]
    assert [row["name"] for row in source.json("backup", "list", user=source.ADMIN)] == [name]
    source.run("backup", "verify", name, user=source.ADMIN)
    made = restored(s3, source, tmp_path, request.node.name)
    try:
        assert list(open_session(made).find({})) == [key]
    finally:
        made.close()
    source.run("backup", "delete", name, "--yes", user=source.ADMIN)
    assert s3.names() == []
    done = source.run("backup", "delete", name, "--yes", user=source.ADMIN, check=False)
    assert done.returncode == 3 and b"has no backup" in done.stderr


def test_parts(s3, source, tmp_path, request):
    session = open_session(source)
    for n in range(N_LARGE):
        session.object_create({"CLASS": hsm.CLASS_DATA, "LABEL": f"large {n}", "TOKEN": True, "VALUE": bytes([n % 256]) * LARGE})
    name = source.json("backup", "create", user=source.ADMIN)["name"]
    size = source.json("backup", "list", user=source.ADMIN)[0]["bytes"]
    assert size > N_LARGE * LARGE and s3.uploads() == []
    made = restored(s3, source, tmp_path, request.node.name, "--backup", name)
    try:
        assert len(list(open_session(made).find({}))) == N_LARGE
    finally:
        made.close()


def test_a_wrong_secret_is_refused_and_named(s3, source):
    s3.write_credentials("not the secret")
    try:
        done = source.run("backup", "create", user=source.ADMIN, check=False)
        assert done.returncode == 1 and b"SignatureDoesNotMatch" in done.stderr, done.stderr
    finally:
        s3.write_credentials(s3.secret)
    source.run("backup", "create", user=source.ADMIN)


def test_a_server_that_is_away_and_comes_back(s3, source, request):
    """It hangs for a while in the middle of it: the request that hangs is waited for, or tried again."""
    session = open_session(source)
    session.key_generate_aes("a key")
    s3.process.send_signal(signal.SIGSTOP)
    try:
        import threading
        threading.Timer(3, s3.process.send_signal, [signal.SIGCONT]).start()
        begin = time.monotonic()
        name = source.json("backup", "create", user=source.ADMIN)["name"]
        assert time.monotonic() - begin > 2
    finally:
        s3.process.send_signal(signal.SIGCONT)
    source.run("backup", "verify", name, user=source.ADMIN)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/bucket", "https://127.0.0.1", "https://127.0.0.1/", "https://127.0.0.1/a b"])
def test_what_is_no_bucket(tmp_path, s3, url):
    with Cluster(1, folder=tmp_path / "none", settings={**s3.settings("x"), "backup-to": f"s3:{url}"}) as made:
        done = made.run("backup", "create", user=made.ADMIN, check=False)
        assert done.returncode == 1 and b"a bucket is named" in done.stderr, done.stderr
