"""strongSwan's tool for certificates with the module, which its daemon loads in the same way."""
import pytest

from fixture.pkcs11 import MODULE
from fixture.program import not_sanitized

pytestmark = not_sanitized

CONFIG = """
libstrongswan {{ plugins {{ pkcs11 {{ modules {{ cluster {{
  path = {module}
}} }} }} }} }}
pki {{ load = pkcs11 random nonce gmp openssl pem pkcs1 pkcs8 x509 sha1 sha2 pubkey constraints }}
"""


@pytest.mark.parametrize("kind", ["rsa:2048", "EC:prime256v1"])
def test_a_certificate_is_signed_by_a_key_of_the_token(token, kind):
    token.configure_login()  # it looks for the key before it logs in
    token.make_key("gateway", kind, id="0a")
    config = token.write("strongswan.conf", CONFIG.format(module=MODULE))
    token.run("sh", "-c", "pki --self --keyid 0a --type priv --ca --dn CN=gateway --outform pem >ca.pem", data=token.pin.encode() + b"\n",
              STRONGSWAN_CONF=str(config))
    assert "OK" in token.run("openssl", "verify", "-CAfile", "ca.pem", "ca.pem")
