"""OpenSSL's command with the module, through the engine of libp11."""
import pytest

from fixture.pkcs11 import ENGINE, certify_by_engine


def openssl(token, *arguments, status=0):
    return token.run("openssl", *arguments, status=status, **ENGINE)


@pytest.mark.parametrize("kind", ["EC:prime256v1", "rsa:2048"])
def test_a_certificate_is_signed_with_a_key_of_the_token(token, kind):
    token.make_key("ca", kind)
    made = certify_by_engine(token, "ca")
    assert "ca.pem: OK" in token.run("openssl", "verify", "-CAfile", made, made)


@pytest.mark.parametrize("kind", ["EC:prime256v1", "rsa:2048"])
def test_a_file_is_signed_and_verified(token, kind):
    token.make_key("signer", kind)
    data = token.write("data", "signed")
    uri, engine = token.uri("signer", pin=True), ("-engine", "pkcs11", "-keyform", "engine")
    openssl(token, "dgst", *engine, "-sha256", "-sign", uri, "-out", "sig", data)
    assert "Verified OK" in openssl(token, "dgst", *engine, "-sha256", "-verify", uri, "-signature", "sig", data)
    openssl(token, "pkey", "-engine", "pkcs11", "-inform", "engine", "-in", uri, "-pubout", "-out", "pub.pem")
    assert "Verified OK" in token.run("openssl", "dgst", "-sha256", "-verify", "pub.pem", "-signature", "sig", data)
    token.write("data", "altered")
    openssl(token, "dgst", *engine, "-sha256", "-verify", uri, "-signature", "sig", data, status=1)


@pytest.mark.parametrize("options", [(), ("-pkeyopt", "rsa_padding_mode:pss"), ("-pkeyopt", "rsa_padding_mode:oaep")])
def test_rsa_in_every_padding(token, options):
    token.make_key("pair", "rsa:2048", usage="sign" if "pss" in str(options) or not options else "decrypt")
    uri, engine = token.uri("pair", pin=True), ("-engine", "pkcs11", "-keyform", "engine")
    openssl(token, "pkey", "-engine", "pkcs11", "-inform", "engine", "-in", uri, "-pubout", "-out", "pub.pem")
    data = token.write("data", b"d" * 32)
    if "oaep" in str(options):
        token.run("openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", "pub.pem", *options, "-in", data, "-out", "cipher")
        openssl(token, "pkeyutl", "-decrypt", *engine, "-inkey", uri, *options, "-in", "cipher", "-out", "back")
        assert token.path("back").read_bytes() == b"d" * 32
        return
    options = ("-pkeyopt", "digest:sha256", *options)
    openssl(token, "pkeyutl", "-sign", *engine, "-inkey", uri, *options, "-in", data, "-out", "sig")
    token.run("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "pub.pem", *options, "-in", data, "-sigfile", "sig")


def test_the_pin_is_read_from_a_file(token):
    token.make_key("ca")
    openssl(token, "req", "-x509", "-engine", "pkcs11", "-keyform", "engine", "-key",
            f"{token.uri('ca', 'private')}?pin-source=file:{token.pin_file}", "-subj", "/CN=x", "-out", "x.pem")
