"""MariaDB with encrypted tables, whose keys the cluster unlocks at each start: samples/mariadb as it stands."""
import contextlib
import time

import pytest

from conftest import ROOT
from fixture.cluster import Cluster
from fixture.pkcs11 import MODULE, Token, not_sanitized, running

FILE_KEY = ROOT / "samples/mariadb/file-key"
PLAINTEXT = "a customer whom nobody may know of"


class Database:
    """A server of its own, without network, as systemd would start it with the sample's configuration."""

    def __init__(self, token):
        self.token = token
        token.configure_login()
        self.keys, self.data, self.socket = (token.path(name) for name in ("keys", "data", "socket"))
        self.key = token.path("file-key")  # the server's configuration names it
        settings = (ROOT / "samples/mariadb/encryption.cnf").read_text()
        settings = settings.replace("/etc/mysql/hsm", str(self.keys)).replace("/run/mariadb-hsm", str(token.folder))
        self.config = token.write("my.cnf", f"{settings}datadir = {self.data}\nsocket = {self.socket}\nskip_networking\n"
                                  f"pid_file = {token.path('pid')}\ninnodb_buffer_pool_size = 16M\nuser = root\n"
                                  "innodb_log_file_size = 8M\n")

    def file_key(self, *words, status=0):
        return self.token.run(FILE_KEY, *words, status=status, HSM_PKCS11_MODULE=str(MODULE))

    def unlock(self, status=0):
        return self.file_key("unlock", self.keys, self.key, status=status)

    def install(self):
        self.unlock()
        self.token.run("mariadb-install-db", f"--defaults-file={self.config}", "--auth-root-authentication-method=normal",
                       "--skip-test-db")
        self.key.unlink()

    def server(self):
        return "mariadbd", f"--defaults-file={self.config}"

    @contextlib.contextmanager
    def running(self):
        """As the unit does: unlock, start, and remove the key as soon as the server is there."""
        self.unlock()
        with running(self.token, *self.server()) as server:
            deadline = time.monotonic() + 60
            while not self.answers():
                assert server.poll() is None and time.monotonic() < deadline, "the server does not start"
                time.sleep(0.05)
            self.key.unlink()
            yield self
            self.sql("SHUTDOWN")
            server.wait(60)

    def answers(self):
        with contextlib.suppress(AssertionError):
            return bool(self.sql("SELECT 1"))
        return False

    def sql(self, statement):
        return self.token.run("mariadb", "--no-defaults", f"--socket={self.socket}", "-N", "-e", statement)

    def holds(self, text):
        return any(text.encode() in path.read_bytes() for path in self.data.rglob("*") if path.is_file())


@pytest.fixture
def database():
    with Cluster(1) as cluster, Token(cluster) as token:
        made = Database(token)
        made.file_key("make", made.keys)
        made.install()
        yield made


@not_sanitized
def test_tables_are_read_only_when_the_cluster_unlocks_them(database):
    with database.running():
        database.sql("CREATE DATABASE shop; CREATE TABLE shop.t (name VARCHAR(64)) ENCRYPTION_KEY_ID=1; "
                     f"INSERT INTO shop.t VALUES ('{PLAINTEXT}')")
    assert not database.holds(PLAINTEXT)

    # Another table key, and another key of the cluster's over all of them.
    database.file_key("add-key", database.keys, "2")
    database.file_key("change", database.keys)
    with database.running():
        database.sql("ALTER TABLE shop.t ENCRYPTION_KEY_ID=2")
        assert PLAINTEXT in database.sql("SELECT name FROM shop.t")
    assert not database.holds(PLAINTEXT)

    # Without the cluster there is no file key, and without it no server.
    cluster = database.token.cluster
    cluster.nodes[0].kill()
    assert "the cluster did not decrypt the file key" in database.unlock(status=1)
    assert not database.key.exists()
    database.token.run(*database.server(), status=1)
    cluster.nodes[0].start()
    with database.running():
        assert PLAINTEXT in database.sql("SELECT name FROM shop.t")


@not_sanitized
def test_a_key_file_that_was_changed_is_not_taken(database):
    content = bytearray((database.keys / "file-key.enc").read_bytes())
    content[100] = ord("A" if content[100] != ord("A") else "B")
    (database.keys / "file-key.enc").write_bytes(content)
    assert "the cluster did not decrypt the file key" in database.unlock(status=1)
    assert not database.key.exists()
