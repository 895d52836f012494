"""NSS with the module: the databases of Firefox, Thunderbird and LibreOffice, and their tools."""
import re

import pytest

from fixture.pkcs11 import MODULE


@pytest.fixture
def database(token):
    """An NSS database that knows the module."""
    folder = token.path("nssdb")
    folder.mkdir()
    token.run("certutil", "-N", "-d", f"sql:{folder}", "--empty-password")
    token.run("modutil", "-dbdir", f"sql:{folder}", "-add", "cluster", "-libfile", MODULE, "-force")
    return f"sql:{folder}"


def certutil(token, database, *arguments, **options):
    return token.run("certutil", "-d", database, "-f", token.pin_file, *arguments, **options)


def make_certificate(token, database, name, *kind):
    certutil(token, database, "-S", "-h", "demo", "-n", name, "-s", f"CN={name}", "-x", "-t", "Pu,Pu,Pu", *kind, "-z",
             token.write("noise", b"noise" * 50))


def test_the_module_is_added_and_listed(token, database):
    told = token.run("modutil", "-dbdir", database, "-list", "cluster")
    assert re.search(r"Token Name:\s*demo", told) and re.search(r"Manufacturer:\s*libhsm", told), told


@pytest.mark.parametrize("kind", [("-k", "ec", "-q", "nistp256"), ("-k", "rsa", "-g", "2048")])
def test_a_key_and_its_certificate_are_made_in_the_token(token, database, kind):
    make_certificate(token, database, "made", *kind)
    assert "demo:made" in certutil(token, database, "-L", "-h", "all")
    assert "demo:made" in certutil(token, database, "-K", "-h", "demo")
    certutil(token, database, "-L", "-h", "demo", "-n", "demo:made", "-a", "-o", "made.pem")
    assert "made.pem: OK" in token.run("openssl", "verify", "-CAfile", "made.pem", "made.pem")


def test_a_certificate_that_a_ca_gave_is_put_beside_its_key(token, database):
    certutil(token, database, "-R", "-h", "demo", "-s", "CN=leaf", "-k", "ec", "-q", "nistp256", "-z",
             token.write("noise", b"noise" * 50), "-a", "-o", "leaf.csr")
    token.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-subj", "/CN=CA", "-out", "ca.pem")
    token.run("openssl", "x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-out", "leaf.pem")
    certutil(token, database, "-A", "-h", "demo", "-n", "leaf", "-t", "u,u,u", "-a", "-i", "leaf.pem")
    assert "demo:leaf" in certutil(token, database, "-L", "-h", "demo")


def test_a_message_is_signed_and_decrypted(token, database):
    make_certificate(token, database, "mail", "-k", "rsa", "-g", "2048")
    text = token.write("text", "a message")
    nss = ["-d", database, "-f", token.pin_file]
    token.run("cmsutil", "-S", "-N", "demo:mail", *nss, "-i", text, "-o", "signed", "-H", "SHA256", "-G")
    certutil(token, database, "-L", "-h", "demo", "-n", "demo:mail", "-a", "-o", "mail.pem")
    token.run("openssl", "cms", "-verify", "-inform", "DER", "-in", "signed", "-CAfile", "mail.pem", "-purpose", "any", "-out",
              "verified", "-binary")
    assert token.path("verified").read_text() == "a message"
    token.run("openssl", "cms", "-encrypt", "-aes128", "-outform", "DER", "-in", text, "-out", "encrypted", "-binary", "mail.pem")
    token.run("cmsutil", "-D", *nss, "-i", "encrypted", "-o", "decrypted")
    assert token.path("decrypted").read_text() == "a message"


def test_certificates_are_seen_before_a_login(token, database):
    make_certificate(token, database, "seen", "-k", "ec", "-q", "nistp256")
    token.configure_login()
    assert "demo:seen" in token.run("certutil", "-d", database, "-L", "-h", "all", data=b"")
    token.run("certutil", "-d", database, "-L", "-h", "demo", "-n", "demo:seen", "-a", "-o", "seen.pem", data=b"")
    assert "seen.pem: OK" in token.run("openssl", "verify", "-CAfile", "seen.pem", "seen.pem")


def test_a_wrong_password_in_the_configuration_stops_nothing(token, database):
    make_certificate(token, database, "unseen", "-k", "ec", "-q", "nistp256")
    wrong = token.write("wrong", "not the password")
    wrong.chmod(0o600)
    token.cluster.write_client_config(token.config, user=token.user, **{"password-file": str(wrong)})
    assert "demo:unseen" not in token.run("certutil", "-d", database, "-L", "-h", "all", data=b"")
    assert "nothing is shown before a login" in token.reasons() and "not the password" not in token.reasons()


def test_what_is_deleted_is_gone(token, database):
    make_certificate(token, database, "brief", "-k", "ec", "-q", "nistp256")
    certutil(token, database, "-F", "-h", "demo", "-n", "demo:brief")
    assert "demo:brief" not in certutil(token, database, "-L", "-h", "all")
