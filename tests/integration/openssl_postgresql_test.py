"""PostgreSQL as Debian builds it, with a key of the cluster: samples/tls-offload as it stands."""
import contextlib
import os
import shutil
import signal
import socket
import ssl
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fixture import process
from fixture.program import free_port, not_sanitized, running, wait_until
from fixture.tls_server import KINDS, VERSIONS

pytestmark = not_sanitized

ACCOUNT = "postgres"  # the server runs as anybody but root
SSL_REQUEST = struct.pack("!II", 8, 80877103)  # PostgreSQL's protocol 3.0, SSLRequest


class Database:
    def __init__(self, provider):
        self.provider, self.port = provider, free_port()
        self.data = provider.path("data")
        self.tools = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        # What the guide has an operator do for the account.
        for path in (provider.config, provider.password, provider.etc / "client.key", *provider.tls.glob("*.key")):
            shutil.chown(path, group=ACCOUNT)
            path.chmod(0o640)
        self.data.mkdir()
        shutil.chown(self.data, ACCOUNT)
        provider.run(*self.as_account(self.tools / "initdb", "-D", self.data, "--auth=trust", "--no-sync", "--no-instructions"))
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write(f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = ''\nfsync = off\n"
                           f"include '{provider.etc / 'postgresql.conf'}'\n")

    def as_account(self, *command):
        return "setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups", *command

    @contextlib.contextmanager
    def running(self, kind="ec"):
        self.provider.sample("postgresql.conf", {"www-ec": f"www-{kind}"})
        self.provider.path("server.log").unlink(missing_ok=True)
        with running(self.provider, *self.as_account(self.tools / "postgres", "-D", self.data), port=self.port) as master:
            self.master = master.pid
            yield self

    def handshake(self, version=ssl.TLSVersion.TLSv1_3):
        """Each is a process of the server's."""
        context = ssl.create_default_context(cafile=self.provider.ca)
        context.minimum_version = context.maximum_version = version
        with socket.create_connection(("127.0.0.1", self.port), 10) as plain:
            plain.sendall(SSL_REQUEST)
            assert plain.recv(1) == b"S"
            with context.wrap_socket(plain, server_hostname="localhost") as secured:
                return secured.version()

    def reload(self):
        said = self.log().count("reloading configuration")
        os.kill(self.master, signal.SIGHUP)
        wait_until(lambda: self.log().count("reloading configuration") > said, "the configuration is read")

    def log(self):
        return self.provider.path("server.log").read_text()


@pytest.fixture(scope="module")
def database(offload):
    return Database(offload)


@pytest.mark.parametrize("kind", KINDS)
def test_clients_are_served_through_reloads(offload, database, kind):
    with database.running(kind), ThreadPoolExecutor(8) as threads:
        for version in VERSIONS.values():
            assert database.handshake(version)
        handshakes = [threads.submit(database.handshake) for _ in range(40)]
        for _ in range(5):
            database.reload()
        assert all(handshake.result() == "TLSv1.3" for handshake in handshakes)
        assert process.connections(database.master, offload.node_ports) == 0
        before = len(process.descriptors(database.master))
        for _ in range(10):
            database.reload()
        assert len(process.descriptors(database.master)) <= before


def test_without_a_node_the_log_says_why(offload, database):
    with offload.impatient(), database.running():
        database.handshake()
        for node in offload.cluster.nodes:
            node.kill()
        try:
            with pytest.raises(ssl.SSLError):
                database.handshake()
            wait_until(lambda: "could not accept SSL connection: no node answered in time" in database.log(), "the log says why")
        finally:
            for node in offload.cluster.nodes:
                node.start()
        database.handshake()
