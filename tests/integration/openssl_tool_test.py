"""OpenSSL's own command with keys of the cluster: every kind of key, every operation, and what is refused."""
import re

import hsm
import pytest

from fixture.openssl import MODULE, Provider

MESSAGE = b"what is signed\n" * 1000

KINDS = {
    "rsa2048": ("RSA", "rsa_keygen_bits:2048"),
    "rsa3072": ("RSA", "rsa_keygen_bits:3072"),
    "p256": ("EC", "ec_paramgen_curve:P-256"),
    "p384": ("EC", "ec_paramgen_curve:P-384"),
    "p521": ("EC", "ec_paramgen_curve:P-521"),
    "secp256k1": ("EC", "ec_paramgen_curve:secp256k1"),
    "ed25519": ("ED25519", None),
    "ed448": ("ED448", None),
    "x25519": ("X25519", None),
    "x448": ("X448", None),
}
WITH_DIGESTS = ["rsa2048", "rsa3072", "p256", "p384", "p521", "secp256k1"]
SIGNING = [*WITH_DIGESTS, "ed25519", "ed448"]


class Tool(Provider):
    """Each kind's key, made by openssl genpkey; a message; and keys of another, in files."""

    def __init__(self, cluster):
        super().__init__(cluster)
        self.message = self.write("message", MESSAGE)
        self.references = {}

    def key(self, kind):
        if kind not in self.references:
            self.references[kind] = self.generate(kind, f"{kind}.pem", "-propquery", "provider=hsm", "-pkeyopt", f"hsm-label:{kind}")
        return self.references[kind]

    def generate(self, kind, name, *options):
        algorithm, parameter = KINDS[kind]
        self.openssl("genpkey", *options, "-algorithm", algorithm, *(["-pkeyopt", parameter] if parameter else []), "-out", name)
        return self.path(name)

    def public(self, kind):
        self.openssl("pkey", "-in", self.key(kind), "-pubout", "-out", f"{kind}.pub")
        return self.path(f"{kind}.pub")

    def plain(self, *arguments, status=0):
        """By an openssl that knows nothing of the cluster."""
        return self.run("openssl", *arguments, status=status, OPENSSL_CONF="/dev/null")


@pytest.fixture(scope="module")
def tool(cluster):
    with Tool(cluster) as tool:
        yield tool


@pytest.mark.parametrize("kind", KINDS)
def test_keys_are_made_in_the_cluster_and_written_as_references(tool, kind):
    text = tool.key(kind).read_text()
    assert text.startswith("-----BEGIN HSM KEY REFERENCE-----") and "PRIVATE" not in text
    shown = tool.openssl("pkey", "-in", tool.key(kind), "-noout", "-text")
    assert "Private key in the cluster" in shown and f"Label: {kind}" in shown
    assert "BEGIN PUBLIC KEY" in tool.public(kind).read_text()
    assert kind in [key["label"] for key in tool.cluster.json("key", "list", user=tool.user)]


DIGESTS = ["sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-512"]


@pytest.mark.parametrize("kind, digest", [*((kind, "sha256") for kind in WITH_DIGESTS), *(("rsa2048", digest) for digest in DIGESTS),
                                          ("p256", "sha512"), ("p521", "sha3-512")])
def test_digests_are_signed(tool, kind, digest):
    tool.openssl("dgst", f"-{digest}", "-sign", tool.key(kind), "-out", "signature", tool.message)
    told = tool.plain("dgst", f"-{digest}", "-verify", tool.public(kind), "-signature", "signature", tool.message)
    assert "Verified OK" in told
    assert "Verified OK" in tool.openssl("dgst", f"-{digest}", "-prverify", tool.key(kind), "-signature", "signature", tool.message)
    other = tool.write("other", b"something else")
    assert "Verification failure" in tool.openssl("dgst", f"-{digest}", "-prverify", tool.key(kind), "-signature", "signature", other,
                                                  status=1)


@pytest.mark.parametrize("salt_length, mgf1", [("digest", "sha256"), ("max", "sha384"), ("0", "sha256"), ("20", "sha384")])
def test_pss_with_every_salt(tool, salt_length, mgf1):
    options = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", f"rsa_pss_saltlen:{salt_length}", "-sigopt", f"rsa_mgf1_md:{mgf1}")
    tool.openssl("dgst", "-sha256", "-sign", tool.key("rsa2048"), *options, "-out", "signature", tool.message)
    assert "Verified OK" in tool.plain("dgst", "-sha256", "-verify", tool.public("rsa2048"), *options, "-signature", "signature",
                                       tool.message)


@pytest.mark.parametrize("kind", ["ed25519", "ed448"])
def test_whole_messages_are_signed(tool, kind):
    tool.openssl("pkeyutl", "-sign", "-inkey", tool.key(kind), "-rawin", "-in", tool.message, "-out", "signature")
    assert "Verified" in tool.plain("pkeyutl", "-verify", "-pubin", "-inkey", tool.public(kind), "-rawin", "-in", tool.message,
                                    "-sigfile", "signature")


@pytest.mark.parametrize("kind", WITH_DIGESTS)
def test_what_was_hashed_elsewhere_is_signed(tool, kind):
    tool.openssl("dgst", "-sha256", "-binary", "-out", "digest", tool.message)
    options = () if not kind.startswith("rsa") else ("-pkeyopt", "digest:sha256")
    tool.openssl("pkeyutl", "-sign", "-inkey", tool.key(kind), *options, "-in", "digest", "-out", "signature")
    assert "Verified" in tool.plain("pkeyutl", "-verify", "-pubin", "-inkey", tool.public(kind), *options, "-in", "digest",
                                    "-sigfile", "signature")


def test_an_rsa_signature_over_data_without_a_digest(tool):
    data = tool.write("data", b"36 bytes as TLS 1.1 signs them......")
    tool.openssl("pkeyutl", "-sign", "-inkey", tool.key("rsa2048"), "-in", data, "-out", "signature")
    tool.openssl("pkeyutl", "-verifyrecover", "-inkey", tool.key("rsa2048"), "-in", "signature", "-out", "recovered")
    assert tool.path("recovered").read_bytes() == data.read_bytes()


@pytest.mark.parametrize("options", [
    (), ("-pkeyopt", "rsa_padding_mode:oaep"), ("-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256"),
    ("-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha384", "-pkeyopt", "rsa_mgf1_md:sha1"),
    ("-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_oaep_label:6c6162656c")], ids=str)
def test_rsa_decrypts(tool, options):
    tool.write("plain", b"a secret")
    tool.plain("pkeyutl", "-encrypt", "-pubin", "-inkey", tool.public("rsa2048"), *options, "-in", "plain", "-out", "cipher")
    tool.openssl("pkeyutl", "-decrypt", "-inkey", tool.key("rsa2048"), *options, "-in", "cipher", "-out", "back")
    assert tool.path("back").read_bytes() == b"a secret"
    tool.openssl("pkeyutl", "-encrypt", "-inkey", tool.key("rsa2048"), *options, "-in", "plain", "-out", "cipher")
    tool.openssl("pkeyutl", "-decrypt", "-inkey", tool.key("rsa2048"), *options, "-in", "cipher", "-out", "back")
    assert tool.path("back").read_bytes() == b"a secret"


@pytest.mark.parametrize("kind, kdf", [("p256", ""), ("p384", ""), ("p521", ""), ("x25519", ""), ("x448", ""), ("p256", "sha1"),
                                       ("p521", "sha256")])
def test_both_sides_of_an_agreement_have_one_secret(tool, kind, kdf):
    peer = tool.generate(kind, "peer.pem", "-propquery", "provider=default")
    tool.openssl("pkey", "-in", peer, "-pubout", "-out", "peer.pub")
    options = ["-pkeyopt", "kdf-type:X963KDF", "-pkeyopt", f"kdf-digest:{kdf}", "-pkeyopt", "kdf-outlen:40", "-pkeyopt",
               "hexkdf-ukm:0102"] if kdf else []
    tool.openssl("pkeyutl", "-derive", "-inkey", tool.key(kind), "-peerkey", "peer.pub", *options, "-out", "ours")
    tool.plain("pkeyutl", "-derive", "-inkey", peer, "-peerkey", tool.public(kind), *options, "-out", "theirs")
    assert tool.path("ours").read_bytes() == tool.path("theirs").read_bytes() != b""


# --- certificates and messages ---

@pytest.mark.parametrize("kind", SIGNING)
def test_certificates_and_requests(tool, kind):
    tool.openssl("req", "-x509", "-new", "-key", tool.key(kind), "-subj", f"/CN={kind}", "-days", "2", "-out", f"{kind}.crt")
    assert "OK" in tool.plain("verify", "-CAfile", f"{kind}.crt", f"{kind}.crt")
    tool.openssl("req", "-new", "-key", f"hsm:label={kind};type=private", "-subj", "/CN=issued", "-out", "request")
    assert "verify OK" in tool.plain("req", "-in", "request", "-noout", "-verify")
    tool.openssl("x509", "-req", "-in", "request", "-CA", f"{kind}.crt", "-CAkey", tool.key(kind), "-days", "1", "-out", "issued.crt")
    assert "OK" in tool.plain("verify", "-CAfile", f"{kind}.crt", "issued.crt")


def test_a_certificate_signed_with_pss(tool):
    tool.openssl("req", "-x509", "-new", "-key", tool.key("rsa2048"), "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-1",
                 "-sha384", "-subj", "/CN=pss", "-out", "pss.crt")
    shown = tool.plain("x509", "-in", "pss.crt", "-noout", "-text")
    assert "rsassaPss" in shown and "sha384" in shown
    assert "OK" in tool.plain("verify", "-CAfile", "pss.crt", "pss.crt")


@pytest.mark.parametrize("kind", ["rsa2048", "p256"])
def test_cms_signs_and_decrypts(tool, kind):
    tool.openssl("req", "-x509", "-new", "-key", tool.key(kind), "-subj", f"/CN={kind}", "-days", "2", "-out", "cms.crt")
    tool.openssl("cms", "-sign", "-in", tool.message, "-binary", "-signer", "cms.crt", "-inkey", tool.key(kind), "-out", "signed")
    tool.plain("cms", "-verify", "-CAfile", "cms.crt", "-in", "signed", "-binary", "-out", "content")
    assert tool.path("content").read_bytes() == MESSAGE
    tool.plain("cms", "-encrypt", "-aes256", "-in", tool.message, "-binary", "-out", "sealed", "-recip", "cms.crt")
    tool.openssl("cms", "-decrypt", "-in", "sealed", "-binary", "-recip", "cms.crt", "-inkey", tool.key(kind), "-out", "opened")
    assert tool.path("opened").read_bytes() == MESSAGE


def test_a_request_makes_its_key_in_the_cluster(tool):
    tool.openssl("req", "-new", "-newkey", "EC", "-propquery", "?provider=hsm", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt",
                 "hsm-label:by request", "-noenc", "-keyout", "new.pem", "-subj", "/CN=new", "-out", "new.csr")
    assert "HSM KEY REFERENCE" in tool.path("new.pem").read_text()
    assert "verify OK" in tool.plain("req", "-in", "new.csr", "-noout", "-verify")


# --- names ---

def test_keys_are_found_by_label_id_and_object(tool):
    tool.generate("p256", "named.pem", "-propquery", "provider=hsm", "-pkeyopt", "hsm-label:a name;with=all %", "-pkeyopt",
                  "hsm-id:00ab01")
    object_id = re.search("Object: ([0-9a-f]{32})", tool.openssl("pkey", "-in", "named.pem", "-noout", "-text"))[1]
    public = tool.openssl("pkey", "-in", "named.pem", "-pubout")
    for uri in ("hsm:label=a%20name%3bwith=all%20%25;type=private", "hsm:id=00ab01;type=private", "hsm:id=00AB01",
                f"hsm:object={object_id}"):
        assert tool.openssl("pkey", "-in", uri, "-pubout") == public, uri
    assert tool.openssl("pkey", "-pubin", "-in", "hsm:id=00ab01;type=public") == public


def test_the_store_lists_keys_and_certificates(tool):
    tool.openssl("req", "-x509", "-new", "-key", tool.key("p256"), "-subj", "/CN=stored", "-days", "2", "-outform", "DER", "-out", "c.der")
    with hsm.Config(tool.cluster.config) as config, hsm.Cluster(config) as opened, opened.session() as session:
        session.login(tool.user, tool.cluster.password(tool.user))
        session.object_create({"class": hsm.CLASS_CERTIFICATE, "token": True, "label": b"p256", "certificate-type": 0,
                               "value": tool.path("c.der").read_bytes()})
    listed = tool.openssl("storeutl", "hsm:label=p256")
    assert "HSM KEY REFERENCE" in listed and "BEGIN CERTIFICATE" in listed and "Total found: 2" in listed
    assert "Total found: 1" in tool.openssl("storeutl", "-certs", "hsm:label=p256")
    assert "Total found: 0" in tool.openssl("storeutl", "-noout", "hsm:label=nobody")


@pytest.mark.parametrize("uri, reason", [
    ("hsm:lable=web", 'its parts are label=, id=, object= and type=, not "lable"'),
    ("hsm:label=", "the label is empty"),
    ("hsm:id=xyz", "hexadecimal"),
    ("hsm:object=00", "32 hexadecimal digits"),
    ("hsm:type=secret-ish", "type is"),
    ("hsm:label=%zz", "not followed by two hexadecimal digits"),
    ("hsm:label=" + "x" * 300, "too long"),
    ("hsm:label=a%00b", "label")])
def test_a_bad_uri_says_what_is_wrong(tool, uri, reason):
    assert reason in tool.openssl("pkey", "-in", uri, "-noout", status=1)


# --- references ---

def test_a_reference_is_read_and_written_without_the_network(tool):
    tool.key("p256")
    gone = tool.path("gone.yaml")
    tool.cluster.write_client_config(gone, nodes=["tls+tcp://127.0.0.1:1"], user=tool.user, **{"password-file": str(tool.password)})
    configuration = tool.write("gone.cnf", (tool.etc / "openssl.cnf").read_text().replace(str(tool.config), str(gone)))
    for command in (("pkey", "-in", tool.key("p256"), "-out", "again.pem"), ("pkey", "-in", tool.key("p256"), "-noout", "-text", "-check"),
                    ("pkey", "-in", tool.key("p256"), "-outform", "DER", "-out", "again.der"),
                    ("pkey", "-inform", "DER", "-in", "again.der", "-pubout", "-out", "again.pub")):
        tool.run("openssl", *command, OPENSSL_CONF=str(configuration))
    assert tool.path("again.pem").read_text() == tool.key("p256").read_text()
    assert tool.path("again.pub").read_text() == tool.public("p256").read_text()


def test_a_reference_behind_its_certificate_is_found(tool):
    tool.openssl("req", "-x509", "-new", "-key", tool.key("p256"), "-subj", "/CN=both", "-days", "2", "-out", "both.crt")
    both = tool.write("both.pem", tool.path("both.crt").read_text() + tool.key("p256").read_text())
    assert tool.openssl("pkey", "-in", both, "-pubout") == tool.public("p256").read_text()


def test_a_damaged_reference_is_no_key(tool):
    lines = tool.key("p256").read_text().splitlines()
    lines[1] = "AAAA" + lines[1][4:]
    assert "Could not read" in tool.openssl("pkey", "-in", tool.write("damaged.pem", "\n".join(lines) + "\n"), "-noout", status=1)


def test_private_keys_are_not_given_out(tool):
    for arguments in (("rsa", "-in", tool.key("rsa2048"), "-traditional"), ("ec", "-in", tool.key("p256"), "-no_public")):
        printed = tool.run("sh", "-c", f"openssl {' '.join(map(str, arguments))} || true")
        assert "PRIVATE KEY" not in printed
    assert "Error" in tool.openssl("pkcs8", "-topk8", "-in", tool.key("rsa2048"), "-v2", "aes256", "-passout", "pass:x", status=1)


def test_keys_in_files_are_what_they_were(tool):
    for kind in ("rsa2048", "p256", "ed25519"):
        plain = tool.generate(kind, "plain.pem")
        assert "BEGIN PRIVATE KEY" in plain.read_text()
        assert "provider in the cluster" not in tool.openssl("pkey", "-in", plain, "-noout", "-text")
        tool.openssl("req", "-x509", "-new", "-key", plain, "-subj", "/CN=plain", "-out", "plain.crt")
        assert "OK" in tool.plain("verify", "-CAfile", "plain.crt", "plain.crt")


@pytest.mark.parametrize("setting, reason", [("import = perhaps", "import is yes or no"),
                                             ("timeout-ms = soon", "timeout-ms is a number between 50 and 600000")])
def test_a_setting_that_makes_no_sense_is_told_with_the_first_key(tool, setting, reason):
    configuration = tool.write("bad.cnf", (tool.etc / "openssl.cnf").read_text().replace("[hsm_cluster]", f"[hsm_cluster]\n{setting}"))
    assert "OpenSSL" in tool.run("openssl", "version", OPENSSL_CONF=str(configuration))
    assert reason in tool.run("openssl", "pkey", "-in", "hsm:label=p256", "-noout", status=1, OPENSSL_CONF=str(configuration))


def test_a_configuration_that_is_not_there_is_told_with_the_first_key(tool):
    configuration = tool.write("bad.cnf", (tool.etc / "openssl.cnf").read_text().replace(str(tool.config), "/nowhere/hsm.yaml"))
    assert "/nowhere/hsm.yaml" in tool.run("openssl", "pkey", "-in", "hsm:label=p256", "-noout", status=1,
                                           OPENSSL_CONF=str(configuration))
    assert "/nowhere/hsm.yaml" in tool.run("openssl", "storeutl", "-noout", "hsm:", OPENSSL_CONF=str(configuration))
