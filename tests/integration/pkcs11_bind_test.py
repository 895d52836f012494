"""BIND's tools with the module, through OpenSSL's engine: a zone signed with keys that no disk ever held."""
import re
import subprocess

import pytest

from fixture.pkcs11 import MODULE

ZONE = """$TTL 300
@ IN SOA ns hostmaster 1 3600 900 86400 300
@ IN NS ns
ns IN A 192.0.2.1
www IN AAAA 2001:db8::1
"""


def tools_take_engines():
    """BIND 9.20 does not any more."""
    return "engine" in subprocess.run(["dnssec-keyfromlabel", "-h"], capture_output=True, text=True).stderr


@pytest.mark.skipif(not tools_take_engines(), reason="this BIND takes no engine")
@pytest.mark.parametrize("kind, algorithm", [("EC:prime256v1", "ECDSAP256SHA256"), ("rsa:2048", "RSASHA256")])
def test_a_zone_is_signed_with_keys_of_the_token(token, kind, algorithm):
    token.environment["PKCS11_MODULE_PATH"] = str(MODULE)
    token.path("keys").mkdir()
    for number, (label, flags) in enumerate((("ksk", ["-f", "KSK"]), ("zsk", []))):
        token.make_key(label, kind, f"0{number + 1}")
        token.run("dnssec-keyfromlabel", "-E", "pkcs11", "-K", "keys", "-a", algorithm, *flags, "-l",
                  token.uri(label) + f"?pin-source=file:{token.pin_file}", "example")
    token.write("zone", ZONE)
    token.run("dnssec-signzone", "-E", "pkcs11", "-S", "-K", "keys", "-o", "example", "-f", "signed", "zone")
    signed = token.path("signed").read_text()
    assert len(re.findall(r"\bRRSIG\b", signed)) > 5
    assert "PrivateExponent" not in "".join(path.read_text() for path in token.path("keys").glob("*.private"))
    assert "fully signed" in token.run("dnssec-verify", "-o", "example", "signed")
