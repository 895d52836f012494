"""MariaDB with encrypted tables, whose keys the cluster unlocks at each start: samples/databases as it stands."""
import contextlib
import time

import pytest

from conftest import ROOT
from fixture.pkcs11 import MODULE, Token
from fixture.program import not_sanitized, running

FILE_KEY = ROOT / "samples/databases/file-key"
PLAINTEXT = "a customer whom nobody may know of"
VISIBLE = "what a table of MyISAM shows to everybody"


class Database:
    """A server of its own, without network, as systemd would start it with the sample's configuration."""

    def __init__(self, token):
        self.token = token
        self.configure()
        self.keys, self.data, self.socket = (token.path(name) for name in ("keys", "data", "socket"))
        self.key = token.path("file-key")  # the server's configuration names it
        settings = (ROOT / "samples/databases/mariadb.cnf").read_text()
        settings = settings.replace("/etc/mysql/hsm", str(self.keys)).replace("/run/mariadb-hsm", str(token.folder))
        self.config = token.write("my.cnf", f"{settings}datadir = {self.data}\nsocket = {self.socket}\nskip_networking\n"
                                  f"pid_file = {token.path('pid')}\ninnodb_buffer_pool_size = 16M\nuser = root\n"
                                  "innodb_log_file_size = 8M\n")

    def configure(self, **settings):
        """The account by which the server logs in; settings of the client may be others than usual."""
        cluster = self.token.cluster
        cluster.write_client_config(self.token.config, **{
            "user": self.token.user, "password-file": str(cluster.passwords[self.token.user]), **settings})

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
        """Whether one of the server's files shows a text."""
        return any(text.encode() in path.read_bytes() for path in self.data.rglob("*") if path.is_file())


@pytest.fixture
def keys(token):
    """A database of which there are only the keys."""
    made = Database(token)
    made.file_key("make", made.keys)
    return made


@pytest.fixture
def database(single):
    """With a cluster of its own, whose node it can lose."""
    with Token(single) as token:
        made = Database(token)
        made.file_key("make", made.keys)
        made.install()
        yield made


def refused(database, why):
    """The unit's first step fails, says why, and leaves nothing that a server could start with."""
    told = database.unlock(status=1)
    assert told.startswith("cluster-secret: the cluster did not decrypt ") and why in told, told
    assert not database.key.exists()


@not_sanitized
def test_tables_are_read_only_when_the_cluster_unlocks_them(database):
    with database.running():
        database.sql("CREATE DATABASE shop; CREATE TABLE shop.t (name VARCHAR(64)) ENCRYPTION_KEY_ID=1; "
                     f"INSERT INTO shop.t VALUES ('{PLAINTEXT}'); "
                     "CREATE TABLE shop.aria (name VARCHAR(64)) ENGINE=Aria TRANSACTIONAL=0; "
                     f"INSERT INTO shop.aria VALUES ('{PLAINTEXT}'); "
                     f"CREATE TABLE shop.open (name VARCHAR(64)) ENGINE=MyISAM; INSERT INTO shop.open VALUES ('{VISIBLE}')")
    assert database.holds(VISIBLE)  # else what follows would say nothing
    assert not database.holds(PLAINTEXT)

    # Another table key, and another key of the cluster's over all of them.
    database.file_key("add-key", database.keys, "2")
    database.file_key("change", database.keys)
    with database.running():
        database.sql("ALTER TABLE shop.t ENCRYPTION_KEY_ID=2")
        assert PLAINTEXT in database.sql("SELECT name FROM shop.t")
        assert database.sql("SELECT CURRENT_KEY_ID FROM information_schema.INNODB_TABLESPACES_ENCRYPTION "
                            "WHERE NAME = 'shop/t'").strip() == "2"
    assert not database.holds(PLAINTEXT)

    # Without the cluster there is no file key, and without it no server.
    cluster = database.token.cluster
    database.configure(**{"timeout-ms": 1000})
    cluster.nodes[0].kill()
    refused(database, "no node answered in time")
    told = database.token.run(*database.server(), status=1)
    assert f"File '{database.key}' not found" in told and "encryption plugin is not available" in told
    cluster.nodes[0].start()
    database.configure()
    with database.running():
        assert PLAINTEXT in database.sql("SELECT name FROM shop.t")


@not_sanitized
def test_it_is_told_why_the_file_key_stays_locked(keys):
    encrypted = keys.keys / "file-key.enc"
    content = encrypted.read_bytes()
    keys.configure(**{"password-file": str(keys.token.write("wrong", "another-password"))})
    refused(keys, "wrong user name or password")
    keys.configure()

    other = b"A" if content[100:101] != b"A" else b"B"
    encrypted.write_bytes(content[:100] + other + content[101:])
    refused(keys, "does not decrypt with this key")
    encrypted.write_bytes(content)

    keys.token.delete_objects()
    refused(keys, "key not found")


@not_sanitized
def test_a_key_that_would_keep_the_server_from_starting_is_not_added(keys):
    before = (keys.keys / "keys.enc").read_bytes()
    for name in ("", "0", "-1", "02", "first", "1", "4294967296", "9" * 20):
        assert name in keys.file_key("add-key", keys.keys, name, status=1)
    assert (keys.keys / "keys.enc").read_bytes() == before


@not_sanitized
def test_a_change_that_fails_leaves_what_was(keys):
    before = {path.name: path.read_bytes() for path in keys.keys.iterdir()}
    keys.configure(**{"password-file": str(keys.token.write("wrong", "another-password"))})
    keys.file_key("change", keys.keys, status=1)
    assert {path.name: path.read_bytes() for path in keys.keys.iterdir()} == before
    keys.configure()
    keys.unlock()
