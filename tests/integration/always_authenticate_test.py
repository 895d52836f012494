"""Keys that want the user's password for each use, at a cluster that loses nodes, logins and masking keys meanwhile."""
import time

import pytest

import hsm
from fixture.cluster import Cluster
from quorum_test import Person, refused

SIGN = hsm.Mechanism(hsm.MECHANISM_ECDSA, hash=hsm.HASH_SHA256)


@pytest.fixture
def cluster(tmp_path):
    with Cluster(2, folder=tmp_path / "cluster") as made:
        yield made


@pytest.fixture
def session(cluster):
    made = hsm.Cluster(hsm.Config(cluster.config)).session()
    made.login_kept(cluster.USER, cluster.password(cluster.USER))
    return made


def make_key(session):
    return session.key_pair_generate(
        hsm.MECHANISM_EC_KEY_PAIR_GEN, {"EC_PARAMS": hsm.curve_oid(hsm.CURVE_P256), "TOKEN": True, "LABEL": "guarded"},
        {"TOKEN": True, "LABEL": "guarded", "ALWAYS_AUTHENTICATE": True})


def test_a_password_is_good_at_any_node(cluster, session):
    public_key, key = make_key(session)
    for node in cluster.nodes:
        session.authenticate(key, cluster.password(cluster.USER))
        node.keep_ports()
        node.kill()
        session.verify(public_key, SIGN, b"message", session.sign(key, SIGN, b"message"))
        refused(hsm.AuthenticationNeeded, "before each use", session.sign, key, SIGN, b"message")
        node.start()


def test_a_masking_key_that_was_replaced_still_opens_it(cluster, session):
    key = make_key(session)[1]
    session.authenticate(key, cluster.password(cluster.USER))
    cluster.run("cluster", "rotate-key", user=cluster.ADMIN)
    session.sign(key, SIGN, b"message")


def test_it_outlives_a_login_that_is_renewed(tmp_path):
    with Cluster(1, folder=tmp_path / "limited", settings={"login-limit-s": 2}) as made:
        session = hsm.Cluster(hsm.Config(made.config)).session()
        session.login_kept(made.USER, made.password(made.USER))
        key = make_key(session)[1]
        session.authenticate(key, made.password(made.USER))
        time.sleep(2.5)
        session.sign(key, SIGN, b"message")


def test_the_second_factor_is_needed_each_time_too(cluster, session, tmp_path):
    bob = Person(cluster, tmp_path, "bob", hsm.ROLE_USER)
    cluster.run("user", "signer", "bob", "--key", bob.key, "--for-logins", user="bob")
    key = make_key(bob.session)[1]
    password = cluster.password("bob")
    refused(hsm.SecondFactorNeeded, "signed challenge", bob.session.authenticate, key, password)
    text, state = bob.session.cluster.login_challenge("bob")
    bob.session.authenticate(key, password, state, bob.sign(text))
    bob.session.sign(key, SIGN, b"message")
