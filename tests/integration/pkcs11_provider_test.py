"""OpenSSL with the module through pkcs11-provider, which takes the place of engines: the command with keys by their URI, and servers
that know of PKCS#11 by OpenSSL's configuration alone."""
import re

import pytest

from fixture.cluster import Cluster
from fixture.pkcs11 import Site, Token, configure_provider
from fixture.pkcs11_servers import apache_serves, nginx_serves
from fixture.program import not_sanitized, running

KINDS = ["EC:prime256v1", "EC:secp384r1", "EC:edwards25519", "rsa:2048"]


@pytest.fixture
def provided(token):
    configure_provider(token)
    return token


def digest_of(kind):
    """Ed25519 hashes by itself."""
    return [] if "edwards" in kind else ["-sha256"]


def make_certificate(token, label, kind="EC:prime256v1", *options):
    token.make_key(label, kind)
    token.run("openssl", "req", "-x509", "-key", token.uri(label, "private"), "-subj", "/CN=localhost", "-addext",
              "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2", *digest_of(kind), *options, "-out", f"{label}.pem")
    return token.path(f"{label}.pem")


def write_public(token, label):
    token.run("openssl", "pkey", "-in", token.uri(label, "public"), "-pubin", "-pubout", "-out", f"{label}.pub")
    return token.path(f"{label}.pub")


# --- the command ---

@pytest.mark.parametrize("kind", KINDS)
def test_a_ca_certifies_others_with_a_key_of_the_token(provided, kind):
    token = provided
    ca = make_certificate(token, "ca", kind, "-addext", "basicConstraints=CA:TRUE")
    token.make_key("site", kind, id="02")
    token.run("openssl", "req", "-new", "-key", token.uri("site", "private"), "-subj", "/CN=site", *digest_of(kind), "-out", "csr")
    assert "verify OK" in token.run("openssl", "req", "-in", "csr", "-verify", "-noout")
    token.run("openssl", "x509", "-req", "-in", "csr", "-CA", ca, "-CAkey", token.uri("ca", "private"), *digest_of(kind),
              "-days", "2", "-out", "site.pem")
    assert "site.pem: OK" in token.run("openssl", "verify", "-CAfile", ca, "site.pem")


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_signed_and_verified(provided, kind):
    token = provided
    token.make_key("signer", kind)
    public = write_public(token, "signer")
    data = token.write("data", "signed")
    if "edwards" in kind:
        sign, verify = (["pkeyutl", "-rawin", "-in", data, *rest] for rest in (["-sign", "-out", "sig"], ["-verify", "-sigfile", "sig"]))
        token.run("openssl", *sign, "-inkey", token.uri("signer", "private"))
        check = [*verify, "-pubin", "-inkey"]
    else:
        token.run("openssl", "dgst", "-sha256", "-sign", token.uri("signer", "private"), "-out", "sig", data)
        check = ["dgst", "-sha256", "-signature", "sig", "-verify"]
    ends = [data] if check[0] == "dgst" else []
    for key in (public, token.uri("signer", "public")):
        token.run("openssl", *check, key, *ends)
    token.write("data", "altered")
    for key in (public, token.uri("signer", "public")):
        token.run("openssl", *check, key, *ends, status=1)


@pytest.mark.parametrize("options", [(), ("-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest")])
def test_rsa_signs_digests_in_either_padding(provided, options):
    token = provided
    token.make_key("pair", "rsa:2048")
    public, data = write_public(token, "pair"), token.write("data", b"d" * 32)
    options = ("-pkeyopt", "digest:sha256", *options)
    token.run("openssl", "pkeyutl", "-sign", "-inkey", token.uri("pair", "private"), *options, "-in", data, "-out", "sig")
    token.run("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, *options, "-in", data, "-sigfile", "sig")


@pytest.mark.parametrize("oaep", [None, "sha1", "sha256"])
def test_rsa_decrypts_in_either_padding(provided, oaep):
    """The provider knows no default for OAEP's hash."""
    token = provided
    chosen = [f"{name}:{value}" for name, value in [("rsa_padding_mode", "oaep"), ("rsa_oaep_md", oaep), ("rsa_mgf1_md", oaep)]]
    options = [word for choice in chosen for word in ("-pkeyopt", choice)] if oaep else []
    token.make_key("pair", "rsa:2048", usage="decrypt")
    public, data = write_public(token, "pair"), token.write("data", b"d" * 32)
    token.run("openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", public, *options, "-in", data, "-out", "cipher")
    token.run("openssl", "pkeyutl", "-decrypt", "-inkey", token.uri("pair", "private"), *options, "-in", "cipher", "-out", "back")
    assert token.path("back").read_bytes() == b"d" * 32


def test_two_sides_agree_on_a_secret(provided):
    token = provided
    token.make_key("ours", usage="derive")
    public = write_public(token, "ours")
    token.run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "theirs.key")
    token.run("openssl", "pkey", "-in", "theirs.key", "-pubout", "-out", "theirs.pub")
    token.run("openssl", "pkeyutl", "-derive", "-inkey", "theirs.key", "-peerkey", public, "-out", "theirs")
    token.run("openssl", "pkeyutl", "-derive", "-inkey", token.uri("ours", "private"), "-peerkey", "theirs.pub", "-out", "ours")
    assert token.path("ours").read_bytes() == token.path("theirs").read_bytes()


@pytest.mark.parametrize("kind", ["EC:prime256v1", "rsa:2048"])
def test_a_message_is_signed_as_cms(provided, kind):
    token = provided
    certificate = make_certificate(token, "signer", kind)
    data = token.write("data", "signed")
    token.run("openssl", "cms", "-sign", "-binary", "-in", data, "-signer", certificate, "-inkey", token.uri("signer", "private"),
              "-out", "message")
    told = token.run("openssl", "cms", "-verify", "-binary", "-in", "message", "-CAfile", certificate, "-purpose", "any")
    assert "Verification successful" in told


def test_a_message_is_decrypted_from_cms(provided):
    token = provided
    token.make_key("reader", "rsa:2048", usage="decrypt")
    token.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-subj", "/CN=CA", "-out", "ca.pem")
    token.run("openssl", "x509", "-new", "-force_pubkey", write_public(token, "reader"), "-subj", "/CN=reader", "-CA", "ca.pem",
              "-CAkey", "ca.key", "-out", "reader.pem")
    token.run("openssl", "cms", "-encrypt", "-binary", "-aes256", "-in", token.write("data", "for the reader"), "-out", "message",
              "-recip", "reader.pem")
    token.run("openssl", "cms", "-decrypt", "-in", "message", "-recip", "reader.pem", "-inkey", token.uri("reader", "private"),
              "-out", "back")
    assert token.path("back").read_text() == "for the reader"


@pytest.mark.parametrize("algorithm, options", [("EC", ("-pkeyopt", "ec_paramgen_curve:P-256")), ("RSA", ())])
def test_keys_are_made_in_the_cluster(provided, algorithm, options):
    token = provided
    token.run("openssl", "genpkey", "-propquery", "provider=pkcs11", "-algorithm", algorithm, *options, "-pkeyopt",
              "pkcs11_uri:pkcs11:token=demo;object=made;id=%09", "-out", "made.pem")
    assert "PKCS#11 PROVIDER URI" in token.path("made.pem").read_text()
    data = token.write("data", "signed")
    token.run("openssl", "dgst", "-sha256", "-sign", token.uri("made", "private"), "-out", "sig", data)
    assert "Verified OK" in token.run("openssl", "dgst", "-sha256", "-verify", write_public(token, "made"), "-signature", "sig", data)


def test_random_bytes_come_from_the_cluster(provided):
    token = provided
    told = [token.run("openssl", "rand", "-hex", "-propquery", "provider=pkcs11", "24").strip() for _ in range(2)]
    assert all(re.fullmatch(r"[0-9a-f]{48}", text) for text in told) and told[0] != told[1]


def test_everything_on_the_token_is_listed(provided):
    token = provided
    make_certificate(token, "one")
    token.make_key("two", "rsa:2048", id="02")
    told = token.run("openssl", "storeutl", "-keys", "-text", "pkcs11:token=demo")
    assert "object=one" in told and "object=two" in told


@pytest.mark.parametrize("of_pin", ["pin-value", "pin-source"])
def test_the_pin_is_taken_from_the_uri(token, of_pin):
    configure_provider(token, pin=False)
    token.make_key("ca")
    uri = {"pin-value": token.uri("ca", "private", pin=True),
           "pin-source": f"{token.uri('ca', 'private')}?pin-source=file:{token.pin_file}"}[of_pin]
    token.run("openssl", "req", "-x509", "-key", uri, "-subj", "/CN=x", "-out", "x.pem")


def test_no_pin_is_needed_where_the_configuration_says_who_logs_in(token):
    configure_provider(token, pin=False)
    token.make_key("ca")
    token.configure_login()
    token.run("openssl", "req", "-x509", "-key", token.uri("ca", "private"), "-subj", "/CN=x", "-out", "x.pem")


# --- servers ---

@pytest.mark.parametrize("kind", ["EC:prime256v1", "rsa:2048"])
@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
def test_s_server_serves_with_a_key_of_the_token(provided, kind, version):
    token = provided
    site = Site(make_certificate(token, "site", kind))
    with running(token, "openssl", "s_server", "-accept", f"127.0.0.1:{site.port}", "-cert", site.certificate, "-key",
                 token.uri("site", "private"), f"-{version}", "-www", "-quiet", port=site.port):
        assert all("</HTML>" in page.upper() for page in site.serves(10))


@pytest.fixture
def two_nodes():
    with Cluster(2) as made, Token(made) as token:
        configure_provider(token)
        yield token


def write_reference(token, label):
    """A file that names a key by its URI, as the provider writes it, for programs that read keys from files alone."""
    token.run("openssl", "pkey", "-in", token.uri(label, "private"), "-out", f"{label}.key")
    assert "PKCS#11 PROVIDER URI" in token.path(f"{label}.key").read_text()
    return token.path(f"{label}.key")


@not_sanitized
def test_nginx_serves_with_several_workers_through_reload_and_loss_of_a_node(two_nodes):
    site = Site(make_certificate(two_nodes, "site"))
    nginx_serves(two_nodes, site, write_reference(two_nodes, "site"))


@not_sanitized
def test_apache_serves_with_several_processes_through_reload_and_loss_of_a_node(two_nodes):
    site = Site(make_certificate(two_nodes, "site"))
    apache_serves(two_nodes, site, write_reference(two_nodes, "site"), "event")
