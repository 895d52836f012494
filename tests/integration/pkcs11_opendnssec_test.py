"""OpenDNSSEC's tests of HSMs with the module: it makes keys of every kind that it knows, signs with each, and deletes them."""
import re

from fixture.cluster import Cluster
from fixture.pkcs11 import MODULE, Token

CONFIG = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration><RepositoryList><Repository name="cluster">
  <Module>{module}</Module><TokenLabel>demo</TokenLabel><PIN>{pin}</PIN>
</Repository></RepositoryList></Configuration>
"""

# RSA below 2048 bits, DSA and GOST are not for new keys; OpenDNSSEC goes on with what the token makes.
NOT_MADE = {"512-bit RSA key", "768-bit RSA key", "1024-bit RSA key", "1536-bit RSA key", "512-bit DSA key", "768-bit DSA key",
            "1024-bit DSA key", "512-bit GOST key"}
MADE = {"2048-bit RSA key", "4096-bit RSA key", "ECDSA Curve P-256 key", "ECDSA Curve P-384 key", "ED25519 key", "ED448 key"}


def test_its_tests_of_an_hsm_fail_with_nothing_that_the_cluster_makes():
    with Cluster(1, settings={"allow-sha1-sign": True}) as cluster, Token(cluster) as token:
        config = token.write("conf.xml", CONFIG.format(module=MODULE, pin=token.pin))
        told = token.run("ods-hsmutil", "-c", config, "test", "cluster", status=len(NOT_MADE))
    results = dict(re.findall(r"Generating (.*? key)\.\.\. (OK|Failed)", told))
    assert {name for name, result in results.items() if result == "OK"} == MADE, told
    assert {name for name, result in results.items() if result == "Failed"} == NOT_MADE, told
    assert told.count("with key... OK") == 8, told  # RSA with three digests each, and what has digests of its own
    assert told.count("Deleting key... OK") == 4 and ", error:" not in told, told  # those of ECDSA it leaves


def test_keys_are_listed_exported_and_removed(token):
    config = token.write("conf.xml", CONFIG.format(module=MODULE, pin=token.pin))
    told = token.run("ods-hsmutil", "-c", config, "generate", "cluster", "ecdsa", "256")
    key = re.search(r"successful: ([0-9a-f]+)", told)[1]
    assert re.search(rf"cluster\s+{key}\s+ECDSA/256", token.run("ods-hsmutil", "-c", config, "list", "cluster"))
    assert re.search(r"DNSKEY\s+257 3 13 ", token.run("ods-hsmutil", "-c", config, "dnskey", key, "example", "257", "13"))
    token.run("ods-hsmutil", "-c", config, "remove", key)
    assert key not in token.run("ods-hsmutil", "-c", config, "list", "cluster")
