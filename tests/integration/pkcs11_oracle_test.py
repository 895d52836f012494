"""The sequence of Oracle's Transparent Data Encryption, played by samples/databases/tde.c as it stands."""
import os
import re
import time
from pathlib import Path

import pytest

from fixture.cluster import Cluster
from fixture.pkcs11 import MODULE, Token
from fixture.program import running

TDE = Path(os.environ["HSM_BUILD"]) / "samples/databases/tde"


class Database:
    def __init__(self, token):
        self.token = token

    def command(self, *words):
        return TDE, MODULE, self.token.path("dictionary"), *words

    def run(self, *words, status=0, pin=None):
        return self.token.run(*self.command(*words), status=status, TDE_PIN=pin or self.token.pin)


@pytest.fixture
def database(token):
    return Database(token)


def test_a_keystore_opens_again_and_again_and_its_key_is_rotated(database):
    database.run("set-key")
    assert "open: 1 master keys" in database.run("open")
    for _ in range(3):
        database.run("set-key")
    assert "open: 4 master keys" in database.run("open")
    assert re.search(r"4 processes unwrapped [1-9]\d* table keys, 0 failed", database.run("serve", 4, 1))


def test_a_wrong_pin_and_a_missing_master_key_are_told(database):
    database.run("set-key")
    assert "C_Login: 0x000000a0" in database.run("open", status=1, pin=f"{database.token.user}:wrong")
    database.token.delete_objects()
    assert "0 objects are called ORACLE.TDE.HSM.MK.06" in database.run("open", status=1)


def test_forked_processes_notice_nothing_of_a_node_that_is_killed():
    with Cluster(3) as cluster, Token(cluster) as token:
        database = Database(token)
        database.run("set-key")
        with running(token, *database.command("serve", 18, 3), TDE_PIN=token.pin) as serving:
            time.sleep(1)  # all processes are at work
            cluster.nodes[1].kill()
            assert serving.wait(60) == 0
        told = token.path("server.log").read_text()
        assert re.search(r"18 processes unwrapped [1-9]\d{3,} table keys, 0 failed", told), told
