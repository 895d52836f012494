"""OpenVPN with the module, which it reaches through pkcs11-helper: a tunnel whose client proves itself with a key of the token."""
import re

import pytest

from fixture.pkcs11 import MODULE
from fixture.program import free_port, not_sanitized, running, wait_until

pytestmark = not_sanitized
DONE = "Initialization Sequence Completed"


@pytest.fixture
def identity(token):
    """A key with its certificate on the token, a server's on disk, and the name that OpenVPN gives the former."""
    token.configure_login()  # it looks for certificates before it logs in
    for name in ("ca", "server"):
        token.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-subj", f"/CN={name}",
                  "-out", f"{name}.pem")
    token.make_key("vpn", "rsa:2048")
    token.run("openssl", "req", "-new", "-engine", "pkcs11", "-keyform", "engine", "-key", "pkcs11:object=vpn", "-subj",
              "/CN=client", "-out", "client.csr", PKCS11_MODULE_PATH=str(MODULE))
    token.run("openssl", "x509", "-req", "-in", "client.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-outform",
              "DER", "-out", "client.der")
    token.run("pkcs11-tool", "--module", MODULE, "--login", "--write-object", "client.der", "--type", "cert", "--id", "01",
              "--label", "vpn")
    told = token.run("openvpn", "--show-pkcs11-ids", MODULE)
    assert "CN=client" in told, told
    return re.search(r"Serialized id:\s*(\S+)", told)[1]


def test_a_client_proves_itself_with_a_key_of_the_token(token, identity):
    port = free_port()
    log = token.path("server.log")
    common = ("openvpn", "--dev", "null", "--proto", "udp4", "--verb", "3")
    with running(token, *common, "--local", "127.0.0.1", "--port", port, "--tls-server", "--dh", "none", "--ca", "ca.pem", "--cert",
                 "server.pem", "--key", "server.key") as server:
        wait_until(lambda: "UDPv4 link local (bound)" in log.read_text(), "the server listens", lambda: server.poll() is None)
        with running(token, *common, "--remote", "127.0.0.1", port, "--nobind", "--tls-client", "--ca", "server.pem",
                     "--pkcs11-providers", MODULE, "--pkcs11-id", identity, "--pkcs11-protected-authentication", "1") as client:
            wait_until(lambda: log.read_text().count(DONE) == 2, "both sides are through", lambda: client.poll() is None)
    told = log.read_text()
    assert re.search(r"\[client\] Peer Connection Initiated", told) and "VERIFY OK: depth=0, CN=client" in told, told
