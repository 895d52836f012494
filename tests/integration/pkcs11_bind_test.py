"""BIND with the module, through OpenSSL's pkcs11-provider: zones signed with keys of the cluster by its tools and by its server, which
makes keys there, too. (BIND of Debian 12 takes no engine, and OpenSSL there has no provider.)"""
import re

import pytest

from fixture.pkcs11 import MODULE, configure_provider
from fixture.program import free_port, not_sanitized, running, wait_until

ZONE = """$TTL 300
@ IN SOA ns hostmaster 1 3600 900 86400 300
@ IN NS ns
ns IN A 192.0.2.1
www IN AAAA 2001:db8::1
"""

NAMED = """
options {{
    directory "{folder}"; pid-file "{folder}/named.pid"; session-keyfile "{folder}/session.key"; managed-keys-directory "{folder}";
    listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
    recursion no; dnssec-validation no; notify no; allow-transfer {{ 127.0.0.1; }};
}};
controls {{ }};
"""

SIGNED = """
zone "example" {{ type primary; file "{file}"; }};
"""

POLICY = """
key-store "cluster" {{ directory "{folder}"; pkcs11-uri "pkcs11:token=demo;pin-source=file:{pin_file}"; }};
dnssec-policy "cluster" {{ keys {{
    ksk key-store "cluster" lifetime unlimited algorithm {algorithm};
    zsk key-store "cluster" lifetime unlimited algorithm {algorithm};
}}; }};
zone "example" {{ type primary; file "zone"; dnssec-policy "cluster"; inline-signing yes; }};
"""

ALGORITHMS = [("ECDSAP256SHA256", "EC:prime256v1"), ("ECDSAP384SHA384", "EC:secp384r1"), ("RSASHA256", "rsa:2048")]


@pytest.fixture
def provided(token):
    configure_provider(token)
    return token


def key_of(token, algorithm, kind, name, id, *options):
    """BIND's files of a key that is in the cluster: the public key, and where the private one is."""
    token.make_key(name, kind, id)
    base = token.run("dnssec-keyfromlabel", "-a", algorithm, "-l", token.uri(name), *options, "example").split()[-1]
    assert "Label: " in token.path(f"{base}.private").read_text()
    return base


def sign_zone(token, algorithm, kind):
    """A signed zone, and the DS records by which others trust it."""
    key_signing = key_of(token, algorithm, kind, "ksk", "01", "-f", "KSK")
    key_of(token, algorithm, kind, "zsk", "02")
    token.write("zone", ZONE)
    token.run("dnssec-signzone", "-S", "-o", "example", "-f", "signed", "zone")
    return token.path("signed"), key_signing


@pytest.mark.parametrize("algorithm, kind", ALGORITHMS)
def test_a_zone_is_signed_with_keys_of_the_token(provided, algorithm, kind):
    signed, _ = sign_zone(provided, algorithm, kind)
    assert len(re.findall(r"\bRRSIG\b", signed.read_text())) > 5
    provided.run("dnssec-verify", "-o", "example", signed)
    signed.write_text(signed.read_text().replace("2001:db8::1", "2001:db8::2"))
    assert "No correct" in provided.run("dnssec-verify", "-o", "example", signed, status=1)


def serving(token, zones):
    port = free_port()
    config = token.write("named.conf", NAMED.format(folder=token.folder, port=port) + zones)
    return running(token, "named", "-g", "-c", config, port=port), port


def transfer(token, port):
    token.write("transferred", token.run("dig", "@127.0.0.1", "-p", port, "+noall", "+answer", "+onesoa", "example", "AXFR"))
    return token.path("transferred").read_text()


@not_sanitized
def test_a_resolver_trusts_what_the_server_tells_of_a_signed_zone(provided):
    token = provided
    signed, key_signing = sign_zone(token, "ECDSAP256SHA256", "EC:prime256v1")
    key = token.path(f"{key_signing}.key").read_text().split("DNSKEY")[1].split()
    token.write("anchors", f'trust-anchors {{ "example" static-key {" ".join(key[:3])} "{"".join(key[3:])}"; }};')
    server, port = serving(token, SIGNED.format(file=signed))
    with server:
        asked = ["delv", "@127.0.0.1", "-p", port, "-a", "anchors", "+root=example"]
        assert "; fully validated" in token.run(*asked, "www.example", "AAAA")
        assert "negative response, fully validated" in token.run(*asked, "none.example", "AAAA")


@not_sanitized
@pytest.mark.parametrize("algorithm", ["ecdsap256sha256", "rsasha256"])
def test_the_server_makes_keys_in_the_cluster_and_signs_with_them(provided, algorithm):
    token = provided
    token.write("zone", ZONE)
    server, port = serving(token, POLICY.format(folder=token.folder, pin_file=token.pin_file, algorithm=algorithm))
    with server:
        wait_until(lambda: re.search(r"www\.example\.\s+\d+\s+IN\s+RRSIG", transfer(token, port)), "the zone is signed")
        token.run("dnssec-verify", "-o", "example", "transferred")
    told = token.run("pkcs11-tool", "--module", MODULE, "--login", "--pin", token.pin, "-O", "--type", "privkey")
    assert told.count("Private Key Object") == 2  # one signs keys, the other the zone
