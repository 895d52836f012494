"""A signed challenge besides the password, and the end of logins however much they are used."""
import time

import pytest

import hsm
from fixture.cluster import Cluster
from quorum_test import Person, refused


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(2, folder=tmp_path_factory.mktemp("second")) as made:
        yield made


def session_of(cluster):
    return hsm.Cluster(hsm.Config(cluster.config)).session()


@pytest.fixture(scope="module")
def bob(cluster, tmp_path_factory):
    person = Person(cluster, tmp_path_factory.mktemp("bob"), "bob")
    cluster.run("user", "signer", "bob", "--key", person.key, "--for-logins", user="bob")
    return person


def log_in(cluster, person, text_of=lambda text: text, state_of=lambda state: state, key_of=None, user=None):
    client = hsm.Cluster(hsm.Config(cluster.config))
    text, state = client.login_challenge(person.name)
    session = client.session()
    session.login_signed(user or person.name, cluster.password(user or person.name), state_of(state),
                         (key_of or person).sign(text_of(text)))
    return session


def test_the_password_alone_is_not_enough(cluster, bob):
    refused(hsm.SecondFactorNeeded, "signed challenge", session_of(cluster).login, "bob", cluster.password("bob"))
    # That is told to nobody who does not have the password.
    refused(hsm.LoginFailed, "wrong user name or password", session_of(cluster).login, "bob", "another password")
    log_in(cluster, bob).user_create("made-by-bob", "a long password", hsm.ROLE_AUDITOR)
    # A session that was open stays.
    bob.session.user_delete("made-by-bob")


def test_only_the_right_signature_over_this_users_challenge_counts(cluster, bob, tmp_path):
    carol = Person(cluster, tmp_path, "carol").register()
    for options in ({"text_of": lambda text: text + b"x"}, {"key_of": carol}, {"state_of": lambda state: state[:-1] + b"x"},
                    {"state_of": lambda state: hsm.Cluster(hsm.Config(cluster.config)).login_challenge("carol")[1]}):
        with pytest.raises(hsm.LoginFailed):
            log_in(cluster, bob, **options)
        log_in(cluster, bob)  # clears the failures
    # Who has no second factor needs none, and an offered one does not harm.
    log_in(cluster, carol)


def test_the_command_signs(cluster, bob):
    done = cluster.run("audit", "verify", user="bob", check=False)
    assert done.returncode == 4 and b"signed challenge" in done.stderr
    cluster.run("--second-factor", bob.key, "audit", "verify", user="bob")


def test_an_administrator_takes_a_lost_second_factor_away(cluster, tmp_path):
    dave = Person(cluster, tmp_path, "dave")
    cluster.run("user", "signer", "dave", "--key", dave.key, "--for-logins", user="dave")
    refused(hsm.SecondFactorNeeded, "", session_of(cluster).login, "dave", cluster.password("dave"))
    cluster.run("user", "signer", "dave", "--undo", user=cluster.ADMIN)
    session_of(cluster).login("dave", cluster.password("dave"))


def test_a_login_ends_however_much_it_is_used(tmp_path):
    with Cluster(1, folder=tmp_path / "limited", settings={"login-limit-s": 3}) as made:
        session = session_of(made)
        session.login(made.USER, made.password(made.USER))
        begin = time.monotonic()
        with pytest.raises(hsm.TicketExpired):
            while time.monotonic() < begin + 30:
                session.random(16)
                time.sleep(0.05)
        assert 2 < time.monotonic() - begin < 10
        session.login(made.USER, made.password(made.USER))
        session.random(16)
