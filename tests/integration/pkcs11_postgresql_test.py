"""PostgreSQL with a TLS key whose passphrase the cluster decrypts: samples/databases as it stands."""
import contextlib
import os
import re
import shutil
import socket
import ssl
import struct
from pathlib import Path

from conftest import ROOT
from fixture.pkcs11 import MODULE, Token
from fixture.program import free_port, not_sanitized, running

SAMPLES = ROOT / "samples/databases"
ACCOUNT = "postgres"  # the server runs as anybody but root
SSL_REQUEST = struct.pack("!II", 8, 80877103)  # PostgreSQL's protocol 3.0, SSLRequest


class Database:
    """A server of its own that speaks TLS, as Debian's service would run it."""

    def __init__(self, token):
        self.token, self.port = token, free_port()
        self.data, self.key, self.certificate = (token.path(name) for name in ("data", "tls.key", "tls.pem"))
        self.key_passphrase, self.cluster_secret = (
            shutil.copy(SAMPLES / name, token.path(name)) for name in ("key-passphrase", "cluster-secret"))
        token.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                  "/CN=database", "-keyout", self.key, "-out", self.certificate)
        token.write("password", token.pin.partition(":")[2])
        if os.geteuid() == 0:
            token.give_to(ACCOUNT)
        self.configure()
        self.tools = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        self.server = self.tools / "postgres", "-D", self.data

    def configure(self, **settings):
        """The account by which the server logs in, beside what names the certificate."""
        folder, cluster = self.token.folder, self.token.cluster
        if os.geteuid() == 0:
            settings = {"ca-file": str(folder / "ca.pem"), "certificate-file": str(folder / "client.pem"),
                        "key-file": str(folder / "client.key"), **settings}
        cluster.write_client_config(self.token.config, **{
            "user": self.token.user, "password-file": str(self.token.path("password")), **settings})

    def as_account(self, *command):
        if os.geteuid() != 0:
            return command
        return "setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups", *command

    def run(self, *command, status=0):
        return self.token.run(*self.as_account(*command), status=status, HSM_PKCS11_MODULE=str(MODULE))

    def install(self):
        self.run(self.key_passphrase, self.token.path("keys"), self.key)
        self.run(self.tools / "initdb", "-D", self.data, "--auth=trust", "--no-sync", "--no-instructions")
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write(f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = ''\nssl = on\n"
                           f"ssl_cert_file = '{self.certificate}'\nssl_key_file = '{self.key}'\nfsync = off\n"
                           f"ssl_passphrase_command = '{self.cluster_secret} show {self.token.path('keys/passphrase.enc')}'\n")

    @contextlib.contextmanager
    def running(self):
        with running(self.token, *self.as_account(*self.server), port=self.port, HSM_PKCS11_MODULE=str(MODULE)):
            yield

    def presents(self):
        """The certificate of the server, whose key it has used."""
        context = ssl.create_default_context(cafile=self.certificate)
        context.check_hostname = False
        with socket.create_connection(("127.0.0.1", self.port), 10) as plain:
            plain.sendall(SSL_REQUEST)
            assert plain.recv(1) == b"S"
            with context.wrap_socket(plain) as secured:
                return secured.getpeercert(binary_form=True)

    def refuses_to_start(self, why):
        told = self.run(*self.server, status=1)
        assert "the cluster did not decrypt " in told and why in told, told
        assert re.search(r'FATAL: .*command ".*cluster-secret show .*" failed', told), told


@not_sanitized
def test_the_server_speaks_tls_only_when_the_cluster_unlocks_its_key(single):
    with Token(single) as token:
        database = Database(token)
        database.install()
        assert "BEGIN ENCRYPTED PRIVATE KEY" in database.key.read_text()
        with database.running():
            assert database.presents() == ssl.PEM_cert_to_DER_cert(database.certificate.read_text())

        database.configure(**{"password-file": str(token.write("wrong", "another-password"))})
        database.refuses_to_start("wrong user name or password")

        database.configure(**{"timeout-ms": 1000})
        single.nodes[0].kill()
        database.refuses_to_start("no node answered in time")
        single.nodes[0].start()
        database.configure()
        with database.running():
            database.presents()
