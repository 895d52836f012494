"""GnuTLS with the module: p11tool, certtool, and TLS with a key of the token on either side."""
import subprocess

from fixture.pkcs11 import MODULE
from fixture.program import free_port, running

TEMPLATE = 'cn = "{name}"\nca\ncert_signing_key\nexpiration_days = 2\n'
SERVER_TEMPLATE = 'cn = "localhost"\ndns_name = "localhost"\ntls_www_server\nsigning_key\nexpiration_days = 2\n'


def p11tool(token, *arguments, status=0):
    return token.run("p11tool", "--provider", MODULE, *arguments, status=status, GNUTLS_PIN=token.pin)


def certtool(token, *arguments):
    return token.run("certtool", "--provider", MODULE, *arguments, GNUTLS_PIN=token.pin)


def generate(token, label, *kind):
    p11tool(token, "--generate-privkey", *kind, "--label", label, "--login", "--outfile", f"{label}.pub", "pkcs11:token=demo")


def self_signed(token, label, template):
    token.write("template", template)
    certtool(token, "--generate-self-signed", "--load-privkey", token.uri(label, "private"), "--load-pubkey", f"{label}.pub",
             "--template", "template", "--outfile", f"{label}.pem")
    return token.path(f"{label}.pem")


def test_the_token_is_found_by_its_uri(token):
    assert "pkcs11:model=HSM%20cluster;manufacturer=libhsm;serial=" in p11tool(token, "--list-tokens")
    assert "SHA256" in p11tool(token, "--list-mechanisms", "pkcs11:token=demo")


def test_keys_are_generated_listed_and_deleted(token):
    for label, kind in (("r", ["rsa", "--bits", "2048"]), ("e", ["ecdsa", "--curve", "secp256r1"])):
        generate(token, label, *kind)
        assert token.path(f"{label}.pub").read_bytes().startswith(b"-----BEGIN PUBLIC KEY-----")
        told = p11tool(token, "--list-all", "--login", "pkcs11:token=demo")
        assert f"object={label};type=private" in told and "CKA_SENSITIVE" in told
        p11tool(token, "--export-pubkey", "--login", token.uri(label, "private"), "--outfile", "exported")
        assert token.path("exported").read_text() in token.path(f"{label}.pub").read_text()
        p11tool(token, "--delete", "--batch", "--login", token.uri(label, "private"))
        p11tool(token, "--delete", "--batch", "--login", token.uri(label, "public"))
    assert "No matching objects" in p11tool(token, "--list-all", "--login", "pkcs11:token=demo", status=2)


def test_a_key_signs_and_verifies_by_its_uri(token):
    generate(token, "e", "ecdsa", "--curve", "secp256r1")
    told = p11tool(token, "--test-sign", "--login", token.uri("e", "private"))
    assert told.count("... ok") == 3, told


def test_a_ca_in_the_token_signs_certificates(token):
    generate(token, "ca", "rsa", "--bits", "2048")
    ca = self_signed(token, "ca", TEMPLATE.format(name="CA in a token"))
    token.run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "leaf.key", "-subj", "/CN=leaf", "-out",
              "leaf.csr")
    token.write("template", "expiration_days = 1\n")
    certtool(token, "--generate-certificate", "--load-request", "leaf.csr", "--load-ca-privkey", token.uri("ca", "private"),
             "--load-ca-certificate", ca, "--template", "template", "--outfile", "leaf.pem")
    assert "leaf.pem: OK" in token.run("openssl", "verify", "-CAfile", ca, "leaf.pem")


def test_a_certificate_is_written_beside_its_key_and_exported(token):
    generate(token, "pair", "ecdsa", "--curve", "secp384r1")
    made = self_signed(token, "pair", SERVER_TEMPLATE)
    p11tool(token, "--write", "--load-certificate", made, "--label", "pair", "--login", "pkcs11:token=demo")
    exported = p11tool(token, "--export", "--login", token.uri("pair", "cert"))
    assert exported.strip() == made.read_text()[made.read_text().index("-----BEGIN"):].strip()


def test_a_server_and_its_client_use_keys_of_the_token(token):
    port = free_port()
    for label in ("server", "client"):
        generate(token, label, "ecdsa", "--curve", "secp256r1")
        self_signed(token, label, SERVER_TEMPLATE)
    serve = ["gnutls-serv", "--provider", MODULE, "--port", port, "--http", "--x509keyfile", token.uri("server", "private"),
             "--x509certfile", "server.pem", "--require-client-cert", "--x509cafile", "client.pem"]
    with running(token, *serve, port=port, GNUTLS_PIN=token.pin):
        told = token.run("gnutls-cli", "--provider", MODULE, "--port", port, "--x509cafile", "server.pem", "--x509keyfile",
                         token.uri("client", "private"), "--x509certfile", "client.pem", "localhost",
                         data=b"GET / HTTP/1.0\r\n\r\n", GNUTLS_PIN=token.pin)
    assert "Handshake was completed" in told and "HTTP/1.0 200 OK" in told, told


def test_no_pin_is_asked_when_the_configuration_says_who_logs_in(token):
    token.configure_login()
    done = subprocess.run(["p11tool", "--provider", MODULE, "--generate-privkey", "ecdsa", "--label", "e", "--login", "--outfile",
                           token.path("e.pub"), "pkcs11:token=demo"], capture_output=True, stdin=subprocess.DEVNULL,
                          env=token.environment, timeout=30)
    assert done.returncode == 0, done.stderr.decode() + token.reasons()
