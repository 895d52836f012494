"""Disks that the cluster unlocks: systemd-cryptenroll, which finds the module through p11-kit, gives a LUKS volume a key slot
whose secret only a key of the token decrypts."""
import base64
import json

from fixture.pkcs11 import MODULE
from fixture.program import not_sanitized

pytestmark = not_sanitized

# In a namespace of its own p11-kit knows no module but ours.
ALONE = 'mount -t tmpfs tmpfs "$1"; echo "module: $2" >"$1/libhsm.module"; shift 2; exec "$@"'


def make_certificate(token):
    def tool(*arguments):
        return token.run("pkcs11-tool", "--module", MODULE, "--login", "--pin", token.pin, *arguments)

    token.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-subj", "/CN=CA", "-out", "ca.pem")
    token.make_key("disk", "rsa:2048", usage="decrypt")
    tool("--read-object", "--type", "pubkey", "--id", "01", "-o", "public.der")
    token.run("openssl", "pkey", "-pubin", "-inform", "DER", "-in", "public.der", "-out", "public.pem")
    token.run("openssl", "x509", "-new", "-force_pubkey", "public.pem", "-subj", "/CN=disk", "-CA", "ca.pem", "-CAkey", "ca.key",
              "-outform", "DER", "-out", "disk.der")
    tool("--write-object", "disk.der", "--type", "cert", "--id", "01", "--label", "disk")
    return tool


def test_a_volume_opens_with_what_the_token_decrypted(token):
    tool = make_certificate(token)
    with token.path("volume").open("wb") as volume:
        volume.truncate(20 << 20)
    token.run("cryptsetup", "luksFormat", "-q", "--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000",
              "volume", token.write("first", "passphrase"))
    told = token.run("unshare", "--mount", "sh", "-ec", ALONE, "sh", "/usr/share/p11-kit/modules", MODULE, "systemd-cryptenroll",
                     "--pkcs11-token-uri=pkcs11:token=demo;object=disk", "volume", PASSWORD="passphrase", PIN=token.pin)
    assert "enrolled as key slot 1" in told
    enrolled = json.loads(token.run("cryptsetup", "luksDump", "--dump-json-metadata", "volume"))["tokens"]["0"]
    assert enrolled["type"] == "systemd-pkcs11" and enrolled["keyslots"] == ["1"]
    # As systemd does it when the volume is opened.
    token.write("wrapped", base64.b64decode(enrolled["pkcs11-key"]))
    tool("--decrypt", "--mechanism", "RSA-PKCS", "--id", "01", "-i", "wrapped", "-o", "secret")
    token.write("phrase", base64.b64encode(token.path("secret").read_bytes()))
    token.run("cryptsetup", "open", "--test-passphrase", "--key-slot", "1", "--key-file", "phrase", "volume")
