"""TLS clients whose keys are in the cluster: they are given a reference where they want a private key."""
import contextlib
import socket
import ssl
import threading

import pytest

from fixture.program import not_sanitized
from fixture.tls_server import KINDS, VERSIONS

CURL = {"-tls1_2": ("--tlsv1.2", "--tls-max", "1.2"), "-tls1_3": ("--tlsv1.3",)}


class Server:
    """Lets in only who shows a certificate of the CA, and says whose it was."""

    def __init__(self, provider):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(provider.path("server.crt"), provider.path("server.key"))
        self.context.load_verify_locations(provider.ca)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                self.answer(self.socket.accept()[0])

    def answer(self, plain):
        with plain, contextlib.suppress(OSError), self.context.wrap_socket(plain, server_side=True) as secured:
            subject = dict(pair for part in secured.getpeercert()["subject"] for pair in part)
            secured.recv(65536)
            secured.sendall(f"HTTP/1.0 200 OK\r\n\r\nWelcome, {subject['commonName']}, by {secured.version()}\n".encode())
            secured.unwrap()


@pytest.fixture(scope="module")
def clients(offload):
    """A server with a key in a file, and clients with theirs in the cluster."""
    offload.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
                    "-keyout", offload.path("server.key"), "-out", offload.path("server.csr"))
    offload.openssl("x509", "-req", "-in", offload.path("server.csr"), "-CA", offload.ca, "-CAkey", offload.path("ca.key"),
                    "-extfile", offload.write("server.cnf", "subjectAltName=DNS:localhost"), "-out", offload.path("server.crt"))
    for kind in KINDS:
        offload.make_key(f"client-{kind}", kind)
        offload.certify(f"client-{kind}", subject=f"/CN=client {kind}")
    server = Server(offload)
    threading.Thread(target=server.serve, daemon=True).start()
    offload.server_port = server.port
    yield offload
    server.socket.shutdown(socket.SHUT_RDWR)
    server.socket.close()


def names(clients, kind):
    return clients.tls / f"client-{kind}.crt", clients.tls / f"client-{kind}.key"


@not_sanitized
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_curl_shows_its_certificate(clients, kind, version):
    certificate, key = names(clients, kind)
    said = clients.run("curl", "--silent", "--show-error", *CURL[version], "--cacert", clients.ca, "--cert", certificate, "--key", key,
                       f"https://localhost:{clients.server_port}/")
    assert said == f"Welcome, client {kind}, by TLSv1.{version[-1]}\n"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_s_client_shows_its_certificate(clients, kind, version):
    certificate, key = names(clients, kind)
    said = clients.openssl("s_client", "-quiet", "-verify_return_error", version, "-CAfile", clients.ca, "-cert", certificate,
                           "-key", key, "-connect", f"localhost:{clients.server_port}", data=b"GET / HTTP/1.0\r\n\r\n")
    assert f"Welcome, client {kind}, by TLSv1.{version[-1]}\n" in said


def test_s_client_finds_key_and_certificate_in_the_cluster(clients):
    certificate, _ = names(clients, "ec")
    clients.cluster.run("key", "import", "certificate", "--in", certificate, "--label", "client-ec", user=clients.user)
    said = clients.openssl("s_client", "-quiet", "-verify_return_error", "-CAfile", clients.ca, "-cert",
                           "hsm:label=client-ec;type=cert", "-key", "hsm:label=client-ec;type=private",
                           "-connect", f"localhost:{clients.server_port}", data=b"GET / HTTP/1.0\r\n\r\n")
    assert "Welcome, client ec, by" in said


PYTHON = """
import http.client, ssl, sys
ca, certificate, key, port = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.load_cert_chain(certificate, key)
connection = http.client.HTTPSConnection("localhost", int(port), context=context)
connection.request("GET", "/")
print(connection.getresponse().read().decode(), end="")
"""


@pytest.mark.parametrize("kind", KINDS)
def test_python_shows_its_certificate(clients, kind):
    said = clients.run("/usr/bin/python3", "-c", PYTHON, clients.ca, *names(clients, kind), clients.server_port)
    assert said == f"Welcome, client {kind}, by TLSv1.3\n"


@not_sanitized
def test_without_a_node_curl_fails_and_says_why(clients):
    certificate, key = names(clients, "ec")
    for node in clients.cluster.nodes:
        node.kill()
    try:
        with clients.impatient():
            said = clients.run("curl", "--silent", "--show-error", "--cacert", clients.ca, "--cert", certificate, "--key", key,
                               f"https://localhost:{clients.server_port}/", status=None)
    finally:
        for node in clients.cluster.nodes:
            node.start()
    assert said.startswith("curl: (") and "no node answered in time" in said
