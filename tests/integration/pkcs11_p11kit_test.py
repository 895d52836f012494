"""p11-kit with the module: installed where p11-kit looks, reached through its proxy, and served to other machines' programs."""
import hashlib
import re
from pathlib import Path

import pytest

from fixture.pkcs11 import MODULE
from fixture.program import library, running, wait_until

ROOT = Path(__file__).resolve().parents[2]

# In a namespace of its own: no other module, and ours where the package puts it.
INSTALLED = """
set -e
mount -t tmpfs tmpfs "$2"; cp "$1" "$2"
mount -t tmpfs tmpfs "$4"; cp "$3" "$4"
shift 4
exec "$@"
"""


@pytest.fixture
def installed(token):
    """Runs a command on a machine on which the module is installed."""
    places = [MODULE, library("pkcs11/p11-kit-client.so").parent,
              ROOT / "bindings/pkcs11/libhsm.module", "/usr/share/p11-kit/modules"]

    def run(*command, **options):
        return token.run("unshare", "--mount", "sh", "-c", INSTALLED, "sh", *places, *command, **options)
    return run


def test_the_module_is_found_where_it_is_installed(installed):
    told = installed("p11-kit", "list-modules")
    assert re.search(r"^(libhsm: |module: libhsm$)", told, re.M) and "token: demo" in told, told


def test_programs_reach_the_token_through_the_proxy(token, installed):
    proxy = library("p11-kit-proxy.so")
    installed("pkcs11-tool", "--module", proxy, "--token-label", "demo", "--login", "--pin", token.pin, "--keypairgen",
              "--key-type", "EC:prime256v1", "--label", "proxied")
    told = installed("pkcs11-tool", "--module", proxy, "--token-label", "demo", "--login", "--pin", token.pin, "-O")
    assert "proxied" in told


def test_programs_of_the_system_find_a_key_by_its_uri_alone(token, installed):
    token.make_key("system")
    told = installed("p11tool", "--test-sign", "--login", token.uri("system", "private"), GNUTLS_PIN=token.pin)
    assert told.count("... ok") == 3, told


def test_a_machine_without_a_cluster_is_not_disturbed(token, installed):
    told = installed("p11-kit", "list-modules", HSM_CONFIG=str(token.path("none.yaml")))
    assert "token: demo" not in told


def test_a_container_reaches_the_token_through_a_socket(token):
    token.make_key("remote")
    socket = token.path("p11.sock")
    with running(token, "p11-kit", "server", "--foreground", "--name", socket, "--provider", MODULE, "pkcs11:"):
        wait_until(socket.exists, "the server listens")
        client = [library("pkcs11/p11-kit-client.so"), "--login", "--pin", token.pin]
        digest = token.write("digest", hashlib.sha256(b"signed from afar").digest())
        address = {"P11_KIT_SERVER_ADDRESS": f"unix:path={socket}", "HSM_CONFIG": ""}
        assert "remote" in token.run("pkcs11-tool", "--module", *client, "-O", **address)
        # What p11-kit 0.24 does not know, such as ECDSA-SHA256, it does not pass on.
        token.run("pkcs11-tool", "--module", *client, "--sign", "--mechanism", "ECDSA", "--label", "remote", "-i", digest, "-o", "sig",
                  "--signature-format", "openssl", **address)
    token.run("pkcs11-tool", "--module", MODULE, "--login", "--pin", token.pin, "--read-object", "--type", "pubkey", "--label",
              "remote", "-o", "pub.der")
    token.run("openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "pub.der", "-in", digest, "-sigfile",
              "sig")
