"""Operations in parts while nodes are killed before, between and in the middle of the parts: no error reaches the caller, and
the result is that of the whole."""
import hashlib
import hmac
import threading

import pytest

import hsm

GCM = hsm.Mechanism(hsm.MECHANISM_AES_GCM)
HMAC = hsm.Mechanism(hsm.MECHANISM_HMAC, hash=hsm.HASH_SHA256)
PART = bytes(range(256)) * 1200  # several messages' worth in all
PARTS = 12


@pytest.fixture
def session(own_cluster):
    with hsm.Config(own_cluster.config) as config, hsm.Cluster(config) as client, client.session() as opened:
        opened.login(own_cluster.USER, own_cluster.password(own_cluster.USER))
        yield opened


class Killer:
    """Kills and restarts one node after another for as long as it is open."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.stop = threading.Event()
        self.kills = 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stop.is_set():
            node = self.cluster.nodes[self.kills % len(self.cluster.nodes)]
            node.kill()
            self.kills += 1
            self.stop.wait(0.05)
            node.start()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def test_parts_outlive_the_nodes_that_took_them(own_cluster, session):
    key = session.key_generate_aes("parts")
    operation = session.operation(hsm.OPERATION_ENCRYPT, key, GCM)
    ciphertext = b""
    for i in range(PARTS):
        node = own_cluster.nodes[i % 3]
        node.kill()
        ciphertext += operation.update(PART)
        node.start()
    ciphertext += operation.final()
    decrypting = session.operation(hsm.OPERATION_DECRYPT, key, hsm.Mechanism(hsm.MECHANISM_AES_GCM, nonce=operation.nonce))
    plaintext = b"".join(decrypting.update(ciphertext[at:at + 100_000]) for at in range(0, len(ciphertext), 100_000))
    assert plaintext + decrypting.final() == PART * PARTS


def test_nodes_may_die_in_the_middle_of_a_part(own_cluster, session):
    value = b"k" * 32
    key = session.object_create({"CLASS": hsm.CLASS_SECRET_KEY, "KEY_TYPE": hsm.KEY_TYPE_GENERIC_SECRET, "VALUE": value,
                                 "SIGN": True, "VERIFY": True})
    rounds = 0
    with Killer(own_cluster) as killer:
        while killer.thread.is_alive() and (killer.kills < 4 or rounds < 3):
            operation = session.operation(hsm.OPERATION_SIGN, key, HMAC)
            for _ in range(PARTS):
                operation.update(PART)
            assert operation.final() == hmac.digest(value, PART * PARTS, hashlib.sha256)
            rounds += 1
    assert killer.kills >= 4 and rounds >= 3
