"""Knot DNS with the module: a zone signed with keys that no disk ever held. (BIND of Debian 12 takes no engine.)"""
import re
from urllib.parse import quote

import pytest

from fixture.pkcs11 import MODULE

CONFIG = """
database:
    storage: {folder}/kasp
keystore:
  - id: cluster
    backend: pkcs11
    config: "pkcs11:token=demo;pin-value={pin} {module}"
policy:
  - id: signed
    keystore: cluster
    algorithm: {algorithm}
zone:
  - domain: example
    storage: {folder}
    file: zone
    dnssec-signing: on
    dnssec-policy: signed
"""

ZONE = """$TTL 300
@ IN SOA ns hostmaster 1 3600 900 86400 300
@ IN NS ns
ns IN A 192.0.2.1
www IN AAAA 2001:db8::1
"""


@pytest.mark.parametrize("algorithm", ["ecdsap256sha256", "rsasha256"])
def test_a_zone_is_signed_with_keys_of_the_token(token, algorithm):
    for name in ("kasp", "signed"):
        token.path(name).mkdir()
    token.write("zone", ZONE)
    config = token.write("knot.conf", CONFIG.format(folder=token.folder, pin=quote(token.pin, safe=""), module=MODULE,
                                                    algorithm=algorithm))
    token.run("kzonesign", "-c", config, "-o", "signed", "example")
    assert len(re.findall(r"\bRRSIG\b", token.path("signed/zone").read_text())) > 5
    token.run("kzonecheck", "-o", "example", "-d", "on", "signed/zone")
    told = token.run("pkcs11-tool", "--module", MODULE, "--login", "--pin", token.pin, "-O", "--type", "privkey")
    assert told.count("Private Key Object") == 2  # one signs keys, the other the zone
