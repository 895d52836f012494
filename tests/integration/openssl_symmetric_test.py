"""OpenSSL's command with secret keys of the cluster, and with its random bytes."""
import hashlib
import hmac
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from fixture.cluster import SANITIZED, Cluster

MODULE = Path(os.environ["HSM_BUILD"]) / "bindings/openssl/hsm.so"
TIMEOUT_S = 60
SECRET = b"a secret of thirty-two bytes ..."
MESSAGE = b"what is authenticated"

CONFIGURATION = """
openssl_conf = init
[init]
providers = providers
{more}
[providers]
{first} = {first}_sect
{second} = {second}_sect
[default_sect]
activate = 1
[hsm_sect]
module = {module}
activate = 1
[random_sect]
{random}
"""


class Openssl:
    """The command, with both providers from a configuration, in a folder of its own."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.folder = Path(tempfile.mkdtemp(prefix="hsm-openssl-"))
        self.environment = {
            "PATH": "/usr/bin:/bin", "HOME": str(self.folder), "LANG": "C.UTF-8", "HSM_CONFIG": str(self.client("hsm.yaml")),
            "OPENSSL_CONF": str(self.folder / "openssl.cnf"), "OPENSSL_MODULES": str(MODULE.parent)}
        if SANITIZED:
            self.environment |= {"LD_PRELOAD": os.environ["HSM_SANITIZER_RUNTIME"], "ASAN_OPTIONS": os.environ["ASAN_OPTIONS"]}
        self.configure()
        (self.folder / "secret").write_bytes(SECRET)
        (self.folder / "message").write_bytes(MESSAGE)

    def client(self, name, **settings):
        user = self.cluster.USER
        return self.cluster.write_client_config(self.folder / name, user=user,
                                                **{"password-file": str(self.cluster.passwords[user]), **settings})

    def configure(self, first="default", second="hsm", random=""):
        (self.folder / "openssl.cnf").write_text(CONFIGURATION.format(
            first=first, second=second, module=MODULE, random=random, more="random = random_sect" if random else ""))

    def run(self, *arguments, status=0, **variables):
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, cwd=self.folder, text=True,
                              env={**self.environment, **variables}, timeout=TIMEOUT_S)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def mac(self, algorithm, *options, provider="provider=hsm"):
        return self.run("mac", "-propquery", provider, *options, "-in", "message", algorithm).strip()


@pytest.fixture(scope="module")
def openssl():
    with Cluster(1) as cluster:
        made = Openssl(cluster)
        for kind in ("aes", "generic-secret"):
            label = "the " + kind.partition("-")[0]
            cluster.run("key", "import", kind, "--in", made.folder / "secret", "--label", label, user=cluster.USER)
        yield made
        shutil.rmtree(made.folder)


EXPECTED = hmac.new(SECRET, MESSAGE, hashlib.sha256).hexdigest().upper()
KEY = "hsm-key:hsm:label=the%20generic"


@pytest.mark.parametrize("order", [("default", "hsm"), ("hsm", "default")], ids=["last", "first"])
def test_the_command_computes_macs_with_a_key_of_the_cluster(openssl, order):
    openssl.configure(*order)
    assert openssl.mac("HMAC", "-digest", "SHA256", "-macopt", KEY) == EXPECTED
    assert openssl.mac("HMAC", "-digest", "SHA256", "-macopt", "hexkey:" + SECRET.hex(), provider="") == EXPECTED
    aes = ("-macopt", "hsm-key:hsm:label=the%20aes;type=secret")
    bytes_of = ("-macopt", "hexkey:" + SECRET.hex())
    nonce = ("-macopt", "hexiv:" + "01" * 12)
    assert openssl.mac("CMAC", *aes) == openssl.mac("CMAC", "-cipher", "AES-256-CBC", *bytes_of, provider="")
    assert openssl.mac("GMAC", *aes, *nonce) == openssl.mac("GMAC", "-cipher", "AES-256-GCM", *nonce, *bytes_of, provider="")


@pytest.mark.parametrize("transport", ["direct", "nng"])
def test_the_command_can_load_the_provider_alone(openssl, transport):
    """libhsm's TLS has no use for what the program's OpenSSL can do."""
    plain = {"OPENSSL_CONF": "/dev/null", "HSM_CONFIG": str(openssl.client(f"{transport}.yaml", transport=transport))}
    assert openssl.run("mac", "-provider", "hsm", "-propquery", "provider=hsm", "-digest", "SHA256", "-macopt", KEY, "-in",
                           "message", "HMAC", **plain).strip() == EXPECTED


def test_the_command_says_why_a_mac_fails(openssl):
    openssl.configure()
    told = openssl.run("mac", "-propquery", "provider=hsm", "-digest", "SHA256", "-macopt", "hsm-key:hsm:label=nobody", "-in",
                           "message", "HMAC", status=1)
    assert "no secret key of the cluster has this name" in told
    told = openssl.run("mac", "-propquery", "provider=hsm", "-digest", "SHA256", "-macopt", "hexkey:00", "-in", "message",
                           "HMAC", status=1)
    assert "named by the parameter hsm-key" in told


def test_enc_has_no_way_to_name_a_key(openssl):
    openssl.configure()
    told = openssl.run("enc", "-aes-256-cbc", "-propquery", "provider=hsm", "-K", "00" * 32, "-iv", "00" * 16, "-in", "message",
                       status=1)
    assert "named by the parameter hsm-key" in told


def test_a_store_has_no_secret_keys(openssl):
    openssl.configure()
    told = openssl.run("storeutl", "hsm:label=the%20aes;type=secret", status=1)
    assert "by the parameter hsm-key" in told


# --- random ---

SETTINGS = {"every byte": "random = HSM-RANDOM", "the seed": "seed = HSM-RANDOM"}


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())
@pytest.mark.parametrize("order", [("default", "hsm"), ("hsm", "default")], ids=["last", "first"])
@pytest.mark.parametrize("transport", ["direct", "nng"])
def test_random_bytes_come_from_a_node(openssl, setting, order, transport):
    openssl.configure(*order, random=setting)
    client = {"HSM_CONFIG": str(openssl.client(f"{transport}.yaml", transport=transport))}
    made = {openssl.run("rand", "-hex", "32", **client).strip() for _ in range(2)}
    assert len(made) == 2 and all(re.fullmatch("[0-9a-f]{64}", one) for one in made)
    assert len(openssl.run("rand", "-hex", "200000", **client).strip()) == 400000
    # Whatever else needs random bytes, and what reaches the cluster for a key meanwhile.
    assert "PRIVATE KEY" in openssl.run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", **client)
    assert openssl.mac("HMAC", "-digest", "SHA256", "-macopt", KEY) == EXPECTED


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())
def test_without_a_node_there_are_no_random_bytes(openssl, setting):
    openssl.configure(random=setting)
    nowhere = openssl.client("nowhere.yaml", nodes=["tls+tcp://127.0.0.1:1"], **{"timeout-ms": 1000})
    elsewhere = {"HSM_CONFIG": str(nowhere)}
    told = openssl.run("rand", "-hex", "32", status=1, **elsewhere)
    assert "no node answered in time" in told
    # Who asks for none notices nothing.
    assert openssl.run("dgst", "-sha256", "message", **elsewhere).strip().endswith(hashlib.sha256(MESSAGE).hexdigest())


def test_nobody_gets_them_unasked(openssl):
    openssl.configure("hsm", "default")
    assert re.fullmatch("[0-9a-f]{64}", openssl.run("rand", "-hex", "32", HSM_CONFIG=os.devnull).strip())
