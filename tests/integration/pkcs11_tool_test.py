"""OpenSC's pkcs11-tool with the module: what people do with a token at a prompt."""
import re
import subprocess

import pytest

from fixture.cluster import Cluster
from fixture.pkcs11 import MODULE, Token

TEXT = b"what is signed, or encrypted"


def tool(token, *arguments, login=True, **options):
    return token.run("pkcs11-tool", "--module", MODULE, *(["--login", "--pin", token.pin] if login else []), *arguments,
                     **options)


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def generate(token, kind, *arguments):
    return tool(token, "--keypairgen", "--key-type", kind, "--id", "01", "--label", "pair", *arguments)


def public_key(token, name="public.der"):
    tool(token, "--read-object", "--type", "pubkey", "--id", "01", "--output-file", name)
    return token.path(name)


# --- what the module says of itself ---

def test_it_names_itself_its_slot_and_its_token(token):
    assert "libhsm" in tool(token, "-I", login=False)
    assert "127.0.0.1" in tool(token, "-L", login=False)
    told = tool(token, "-T", login=False)
    assert re.search(r"token label\s*: demo", told)
    assert "login required" in told and "rng" in told and "token initialized" in told


def test_it_lists_mechanisms_with_their_uses(token):
    told = tool(token, "-M", login=False)
    for line in (r"SHA256-RSA-PKCS, keySize=\{2048,4096\}.*sign, verify", r"ECDSA, .*sign, verify", r"SHA256, digest",
                 r"AES-CBC-PAD, keySize=\{16,32\}.*encrypt, decrypt", r"ECDH1-DERIVE,.*derive", r"AES-KEY-GEN.*generate"):
        assert re.search(line, told), f"{line}\n{told}"


def test_its_own_tests_find_no_errors():
    with Cluster(1, settings={"allow-sha1-sign": True}) as cluster, Token(cluster) as token:
        generate(token, "rsa:2048", "--usage-sign", "--usage-decrypt")
        told = tool(token, "--test")
    assert "No errors" in told, told


def test_it_works_whatever_the_program_configures_for_its_own_openssl(token):
    """Such a configuration reaches no key by itself: the certificate of the client, among others."""
    configured = token.write("openssl.cnf", "openssl_conf = init\n[init]\nproviders = providers\n[providers]\nbase = alone\n"
                             "[alone]\nactivate = 1\n")
    tool(token, "--keygen", "--key-type", "AES:32", "--label", "made", OPENSSL_CONF=str(configured))
    assert "made" in tool(token, "-O", OPENSSL_CONF=str(configured))


def test_a_child_of_fork_may_begin_anew(token):
    assert "Calling C_Initialize in forked child process" in tool(token, "--test-fork")


# --- logging in ---

def test_a_wrong_pin_is_told_as_such(token):
    told = token.run("pkcs11-tool", "--module", MODULE, "--login", "--pin", f"{token.user}:wrong", "-O", status=1)
    assert "CKR_PIN_INCORRECT" in told
    assert "wrong user name or password" in token.reasons()


def test_no_pin_is_asked_when_the_configuration_says_who_logs_in(token):
    token.configure_login()
    token.run("pkcs11-tool", "--module", MODULE, "--login", "--keypairgen", "--key-type", "EC:prime256v1", "--label", "mine")
    assert "mine" in token.run("pkcs11-tool", "--module", MODULE, "--login", "-O")
    assert "PIN pad present" in token.run("pkcs11-tool", "--module", MODULE, "-T")


# --- keys, and what they are for ---

@pytest.mark.parametrize("kind, mechanism, check", [
    ("rsa:2048", "SHA256-RSA-PKCS", ["-sha256"]),
    ("rsa:3072", "SHA384-RSA-PKCS-PSS", ["-sha384", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:48"]),
    ("EC:prime256v1", "ECDSA-SHA256", ["-sha256"]),
    ("EC:secp521r1", "ECDSA-SHA512", ["-sha512"]),
    ("EC:secp256k1", "ECDSA-SHA256", ["-sha256"])])
def test_what_it_signs_openssl_verifies(token, kind, mechanism, check):
    generate(token, kind, "--usage-sign")
    data = token.write("data", TEXT)
    tool(token, "--sign", "--mechanism", mechanism, "--id", "01", "-i", data, "-o", "sig", "--signature-format", "openssl")
    assert "OK" in openssl("dgst", *check, "-keyform", "DER", "-verify", public_key(token), "-signature", token.path("sig"), data)
    told = tool(token, "--verify", "--mechanism", mechanism, "--id", "01", "-i", data, "--signature-file", "sig",
                "--signature-format", "openssl")
    assert "Signature is valid" in told


def test_an_altered_signature_is_not_valid(token):
    generate(token, "rsa:2048", "--usage-sign")
    data = token.write("data", TEXT)
    tool(token, "--sign", "--mechanism", "SHA256-RSA-PKCS", "--id", "01", "-i", data, "-o", "sig")
    signature = bytearray(token.path("sig").read_bytes())
    signature[10] ^= 1
    token.write("sig", bytes(signature))
    assert "Invalid signature" in tool(token, "--verify", "--mechanism", "SHA256-RSA-PKCS", "--id", "01", "-i", data,
                                       "--signature-file", "sig", status=None)  # OpenSC's was 0 once


def test_an_edwards_key_signs_what_openssl_verifies(token):
    generate(token, "EC:edwards25519", "--usage-sign")
    data = token.write("data", TEXT)
    tool(token, "--sign", "--mechanism", "EDDSA", "--id", "01", "-i", data, "-o", "sig")
    told = tool(token, "-O", "--type", "pubkey")
    point = re.search(r"EC_POINT:\s*0420([0-9a-f]{64})", told)
    assert point, told
    spki = token.write("spki.der", bytes.fromhex("302a300506032b6570032100" + point[1]))  # RFC 8410, 4
    openssl("pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", spki, "-rawin", "-in", data, "-sigfile", token.path("sig"))


def test_a_secret_key_encrypts_as_openssl_does(token):
    key, nonce = bytes(range(32)), "00" * 16
    tool(token, "--write-object", token.write("key", key), "--type", "secrkey", "--key-type", "AES:32", "--id", "05",
         "--label", "known", "--usage-decrypt")
    data = token.write("data", TEXT * 50)
    tool(token, "--encrypt", "--mechanism", "AES-CBC-PAD", "--iv", nonce, "--id", "05", "-i", data, "-o", "cipher")
    openssl("enc", "-aes-256-cbc", "-K", key.hex(), "-iv", nonce, "-in", data, "-out", token.path("expected"))
    assert token.path("cipher").read_bytes() == token.path("expected").read_bytes()
    tool(token, "--decrypt", "--mechanism", "AES-CBC-PAD", "--iv", nonce, "--id", "05", "-i", "cipher", "-o", "back")
    assert token.path("back").read_bytes() == TEXT * 50


def test_a_generated_secret_key_never_shows_its_value(token):
    tool(token, "--keygen", "--key-type", "AES:32", "--id", "06", "--label", "secret", "--sensitive")
    told = tool(token, "-O", "--type", "secrkey")
    assert "secret" in told and "sensitive" in told and "never extractable" in told
    told = tool(token, "--read-object", "--type", "secrkey", "--id", "06", "-o", "value", status=1)
    assert not token.path("value").exists() or not token.path("value").read_bytes()


def test_it_decrypts_what_openssl_encrypted(token):
    generate(token, "rsa:2048", "--usage-decrypt")
    public = public_key(token)
    data = token.write("data", TEXT)
    for mechanism, options in (
            ("RSA-PKCS", ["-pkeyopt", "rsa_padding_mode:pkcs1"]),
            ("RSA-PKCS-OAEP", ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256"])):
        openssl("pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", public, *options, "-in", data, "-out",
                token.path("cipher"))
        more = ["--hash-algorithm", "SHA256"] if mechanism.endswith("OAEP") else []
        tool(token, "--decrypt", "--mechanism", mechanism, *more, "--id", "01", "-i", "cipher", "-o", "back")
        assert token.path("back").read_bytes() == TEXT


def test_both_sides_derive_the_same_secret(token):
    generate(token, "EC:prime256v1", "--usage-derive")
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", token.path("peer.pem"))
    openssl("pkey", "-in", token.path("peer.pem"), "-pubout", "-outform", "DER", "-out", token.path("peer.der"))
    tool(token, "--derive", "--mechanism", "ECDH1-DERIVE", "--id", "01", "-i", "peer.der", "-o", "ours")
    openssl("pkeyutl", "-derive", "-inkey", token.path("peer.pem"), "-peerkey", public_key(token), "-keyform", "PEM",
            "-peerform", "DER", "-out", token.path("theirs"))
    assert token.path("ours").read_bytes() == token.path("theirs").read_bytes()


def test_an_imported_private_key_signs_what_its_owner_verifies(token):
    data = token.write("data", TEXT)
    for number, (algorithm, option, mechanism) in enumerate((
            ("RSA", "rsa_keygen_bits:2048", "SHA256-RSA-PKCS"), ("EC", "ec_paramgen_curve:P-256", "ECDSA-SHA256"))):
        pem, der = token.path("own.pem"), token.path("own.der")
        openssl("genpkey", "-algorithm", algorithm, "-pkeyopt", option, "-out", pem)
        openssl("pkey", "-in", pem, "-outform", "DER", "-out", der)
        tool(token, "--write-object", der, "--type", "privkey", "--id", f"1{number}", "--label", "imported", "--usage-sign")
        tool(token, "--sign", "--mechanism", mechanism, "--id", f"1{number}", "-i", data, "-o", "sig", "--signature-format",
             "openssl")
        openssl("dgst", "-sha256", "-prverify", pem, "-signature", token.path("sig"), data)


# --- objects that are no keys ---

def test_certificates_are_kept_beside_their_keys(token):
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", token.path("k.pem"), "-subj", "/CN=kept", "-outform", "DER",
            "-out", token.path("c.der"))
    tool(token, "--write-object", "c.der", "--type", "cert", "--id", "07", "--label", "certificate")
    told = tool(token, "-O", "--type", "cert")
    assert "certificate" in told and "CN=kept" in told
    tool(token, "--read-object", "--type", "cert", "--id", "07", "-o", "back")
    assert token.path("back").read_bytes() == token.path("c.der").read_bytes()


def test_data_is_kept_under_its_application_and_label(token):
    tool(token, "--write-object", token.write("d", b"anything"), "--type", "data", "--application-label", "tests", "--label",
         "note", "--private")
    assert "tests" in tool(token, "-O", "--type", "data")
    tool(token, "--read-object", "--type", "data", "--label", "note", "-o", "back")
    assert token.path("back").read_bytes() == b"anything"


def test_what_was_deleted_is_gone(token):
    generate(token, "EC:prime256v1", "--usage-sign")
    for kind in ("privkey", "pubkey"):
        tool(token, "--delete-object", "--type", kind, "--id", "01")
    assert "pair" not in tool(token, "-O")


def test_others_do_not_see_private_objects(token):
    generate(token, "EC:prime256v1", "--usage-sign")
    assert "Private Key Object" in tool(token, "-O")
    assert "Private Key Object" not in tool(token, "-O", login=False)


def test_what_is_public_is_listed_without_a_login_when_the_configuration_has_one(token):
    generate(token, "EC:prime256v1", "--usage-sign")
    tool(token, "--write-object", token.write("d", b"anything"), "--type", "data", "--label", "note")
    assert "pair" not in tool(token, "--list-objects", login=False)
    token.configure_login()
    told = tool(token, "--list-objects", login=False)
    assert "Public Key Object" in told and "note" in told and "Private Key Object" not in told
    tool(token, "--read-object", "--type", "data", "--label", "note", "-o", "back", login=False)
    assert token.path("back").read_bytes() == b"anything"
    assert "Private Key Object" in tool(token, "--list-objects")


def test_labels_and_ids_can_be_changed(token):
    generate(token, "EC:prime256v1", "--usage-sign")
    tool(token, "--set-id", "0a", "--type", "privkey", "--id", "01")
    told = tool(token, "-O", "--type", "privkey")
    assert re.search(r"ID:\s*0a", told), told


def test_random_bytes_come_as_many_as_asked(token):
    tool(token, "--generate-random", "4096", "-o", "random")
    content = token.path("random").read_bytes()
    assert len(content) == 4096 and len(set(content)) > 200


def test_passwords_are_changed_as_pins(token):
    before, after = token.pin, f"{token.user}:a-new-password"
    tool(token, "--change-pin", "--new-pin", after)
    token.pin = after
    tool(token, "--change-pin", "--new-pin", before)
    token.pin = before
    tool(token, "-O")
