"""Quorum: what M of N must approve is done with a token that they approved, once, here, and not otherwise."""
import subprocess

import pytest

import hsm
from fixture.cluster import Cluster

CMAC = hsm.Mechanism(hsm.MECHANISM_AES_CMAC)


class Person:
    """A user with a key for approvals, outside the cluster, in files that `openssl` reads."""

    def __init__(self, cluster, folder, name, role=hsm.ROLE_ADMIN, algorithm="EC"):
        self.cluster, self.name, self.folder = cluster, name, folder
        self.key = folder / f"{name}.key"
        self.make_key(algorithm)
        if name not in (cluster.ADMIN, cluster.USER):
            cluster.set_password(name, f"the password of {name}")
            admin(cluster).user_create(name, cluster.password(name), role)
        self.session = hsm.Cluster(hsm.Config(cluster.config)).session()
        self.session.login(name, cluster.password(name))

    def make_key(self, algorithm="EC"):
        options = (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"] if algorithm == "EC" else
                   ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
        subprocess.run(["openssl", "genpkey", *options, "-out", self.key], check=True, capture_output=True)
    def register(self):
        self.cluster.run("user", "signer", self.name, "--key", self.key, user=self.name)
        return self

    def sign(self, text):
        done = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=text, check=True, capture_output=True)
        return done.stdout

    def approve(self, token, text):
        return self.session.quorum_approve(token, self.name, self.sign(text))


def admin(cluster):
    session = hsm.Cluster(hsm.Config(cluster.config)).session()
    session.login(cluster.ADMIN, cluster.password(cluster.ADMIN))
    return session


@pytest.fixture
def cluster(tmp_path):
    with Cluster(2, folder=tmp_path / "cluster", settings={"backup-interval-s": 0}) as made:
        yield made


@pytest.fixture
def people(cluster, tmp_path):
    """Three administrators who can approve."""
    return [Person(cluster, tmp_path, name, algorithm=algorithm).register()
            for name, algorithm in ((cluster.ADMIN, "EC"), ("bob", "RSA"), ("carol", "EC"))]


def refused(error, says, call, *arguments):
    with pytest.raises(error) as caught:
        call(*arguments)
    assert says in str(caught.value), str(caught.value)


def approved(requester, approvers, service, key=None, n_uses=1):
    token, text = requester.session.quorum_request(service, key, n_uses)
    for person in approvers:
        person.approve(token, text)
    requester.session.set_quorum_token(token)
    return token, text


def test_user_management_needs_two(cluster, people):
    alice, bob, carol = people
    alice.session.quorum_set("user", 2)
    refused(hsm.QuorumNeeded, "2 approvals", alice.session.user_create, "dave", "a long password", hsm.ROLE_USER)
    token, text = alice.session.quorum_request("user", n_uses=2)
    assert f"token: {token.hex()}" in text.decode() and "service: user" in text.decode()
    alice.session.set_quorum_token(token)
    assert alice.approve(token, text) == (1, 2)
    assert alice.approve(token, text) == (1, 2)  # again: the same approval
    refused(hsm.QuorumNeeded, "1 of 2 approvals", alice.session.user_create, "dave", "a long password", hsm.ROLE_USER)
    assert bob.approve(token, text) == (2, 2)
    alice.session.user_create("dave", "a long password", hsm.ROLE_USER)
    # The token is alice's, for this service, and for two operations.
    bob.session.set_quorum_token(token)
    refused(hsm.QuorumNeeded, "is admin's", bob.session.user_create, "erin", "a long password", hsm.ROLE_USER)
    alice.session.user_create("erin", "a long password", hsm.ROLE_USER)
    refused(hsm.QuorumNeeded, "used up", alice.session.user_create, "frank", "a long password", hsm.ROLE_USER)
    # Deleting users, resetting passwords and administrators' keys belong to it too; one's own password does not.
    for call, arguments in ((alice.session.user_delete, ("erin",)),
                            (alice.session.user_change_password, ("erin", None, "another password")),
                            (alice.session.user_set_signer, ("carol", None))):
        refused(hsm.QuorumNeeded, "used up", call, *arguments)
    alice.session.user_change_password(cluster.ADMIN, cluster.password(cluster.ADMIN), "a new and long password")
    assert sorted(user["name"] for user in cluster.json("user", "list")) == \
        sorted([cluster.ADMIN, cluster.USER, "bob", "carol", "dave", "erin"])


def test_the_policy_cannot_be_raised_out_of_reach_nor_lowered_alone(cluster, people):
    alice, bob, carol = people
    refused(hsm.InvalidArgument, "3 administrators", alice.session.quorum_set, "user", 4)
    alice.session.quorum_set("user", 3)
    # Lowering it needs what it needs itself, although the quorum for policies is not set.
    refused(hsm.QuorumNeeded, "3 approvals", alice.session.quorum_set, "user", 0)
    approved(alice, [alice, bob], "quorum")
    refused(hsm.QuorumNeeded, "2 of 3", alice.session.quorum_set, "user", 0)
    # Nor can it be undermined: no signer may go while all are needed.
    approved(alice, people, "user")
    refused(hsm.NotPermitted, "a quorum wants 3", alice.session.user_delete, "carol")
    approved(alice, people, "user")
    refused(hsm.NotPermitted, "a quorum wants 3", alice.session.user_set_signer, "carol", None)
    # A token of another service does not do.
    approved(alice, people, "user")
    refused(hsm.QuorumNeeded, "for service user", alice.session.quorum_set, "user", 2)
    approved(alice, people, "quorum")
    alice.session.quorum_set("user", 2)
    assert {policy.service: (policy.m, policy.n_signers) for policy in alice.session.quorum_list().policies} == \
        {"user": (2, 3), "quorum": (0, 3), "cluster": (0, 3)}


def test_signatures_that_do_not_count(cluster, people, tmp_path):
    alice, bob, carol = people
    token, text = alice.session.quorum_request("user")
    other, other_text = alice.session.quorum_request("user")
    refused(hsm.SignatureInvalid, "", alice.session.quorum_approve, token, "bob", bob.sign(other_text))
    refused(hsm.SignatureInvalid, "", alice.session.quorum_approve, token, "bob", carol.sign(text))
    refused(hsm.SignatureInvalid, "", alice.session.quorum_approve, token, "bob", b"\x30\x00")
    refused(hsm.SignatureInvalid, "", alice.session.quorum_approve, token, "bob", bob.sign(text.replace(b"operations: 1", b"operations: 9")))
    refused(hsm.ObjectNotFound, "no such quorum token", alice.session.quorum_approve, bytes(16), "bob", bob.sign(text))
    refused(hsm.UserNotFound, "", alice.session.quorum_approve, token, "nobody", bob.sign(text))
    user = Person(cluster, tmp_path, cluster.USER)
    refused(hsm.NotPermitted, "no administrator", alice.session.quorum_approve, token, cluster.USER, user.sign(text))
    dave = Person(cluster, tmp_path, "dave")
    refused(hsm.NotPermitted, "registered no key", alice.session.quorum_approve, token, "dave", dave.sign(text))
    refused(hsm.NotPermitted, "for administrators", user.session.quorum_request, "user")
    # An approval counts no more when the approver's key is replaced, or the approver goes.
    bob.approve(token, text)
    carol.approve(token, text)
    assert alice.approve(token, text)[0] == 3
    carol.make_key()
    carol.register()
    assert alice.approve(token, text)[0] == 2
    alice.session.user_delete("bob")
    assert alice.approve(token, text)[0] == 1
    tokens = {entry.id: entry for entry in alice.session.quorum_list().tokens}
    assert tokens[token].approvers == cluster.ADMIN and tokens[token].n_uses_left == 1 and tokens[other].approvers == ""
    alice.session.quorum_cancel(token)
    refused(hsm.ObjectNotFound, "", alice.approve, token, text)


def test_registration_proves_possession(cluster, people, tmp_path):
    alice, bob, _ = people
    public = subprocess.run(["openssl", "pkey", "-in", bob.key, "-pubout", "-outform", "DER"], check=True,
                            capture_output=True).stdout
    text = hsm.Cluster(hsm.Config(cluster.config)).signer_text(cluster.ADMIN, public)
    for signature in (alice.sign(text), bob.sign(text + b"x"), b""):
        with pytest.raises((hsm.SignatureInvalid, hsm.InvalidArgument)):
            alice.session.user_set_signer(cluster.ADMIN, public, signature)
    # Bob's proof is for bob's name in this cluster, not for alice's.
    theirs = hsm.Cluster(hsm.Config(cluster.config)).signer_text("bob", public)
    refused(hsm.SignatureInvalid, "", alice.session.user_set_signer, cluster.ADMIN, public, bob.sign(theirs))
    refused(hsm.NotPermitted, "their own keys", alice.session.user_set_signer, "bob", public, bob.sign(theirs))
    for algorithm, options in (("RSA", ["rsa_keygen_bits:1024"]), ("ED25519", [])):
        key = tmp_path / "weak.key"
        subprocess.run(["openssl", "genpkey", "-algorithm", algorithm, *(word for option in options for word in ("-pkeyopt", option)),
                        "-out", key], check=True, capture_output=True)
        weak = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        refused(hsm.InvalidArgument, "RSA of at least 2048", alice.session.user_set_signer, cluster.ADMIN, weak, b"signature")


def test_a_token_is_no_other_clusters(cluster, people, tmp_path):
    alice, bob, _ = people
    alice.session.quorum_set("user", 2)
    token, text = approved(alice, [alice, bob], "user")
    with Cluster(1, folder=tmp_path / "other") as made:
        folder = tmp_path / "theirs"
        folder.mkdir()
        there = [Person(made, folder, name) for name in (made.ADMIN, "bob")]
        for mine, theirs in zip(people, there):
            theirs.key.write_bytes(mine.key.read_bytes())  # even with the same keys
            theirs.register()
        there[0].session.quorum_set("user", 2)
        there[0].session.set_quorum_token(token)
        refused(hsm.QuorumNeeded, "no such quorum token", there[0].session.user_create, "eve", "a long password", hsm.ROLE_USER)
        again, other_text = there[0].session.quorum_request("user")
        refused(hsm.SignatureInvalid, "", there[0].session.quorum_approve, again, "bob", bob.sign(text))


def test_cluster_services(cluster, people, tmp_path):
    alice, bob, _ = people
    alice.session.quorum_set("cluster", 2)
    node = cluster.json("cluster", "describe")["nodes"][1]["id"]
    done = cluster.run("node", "remove", node, "--yes", user=cluster.ADMIN, check=False)
    assert done.returncode == 4 and b"quorum token for service cluster" in done.stderr
    # Word for word as the page on it: request, sign, hand in, do.
    shown = cluster.json("quorum", "request", "cluster", "--out", tmp_path / "text", user=cluster.ADMIN)
    for person in (alice, bob):
        cluster.run("quorum", "sign", "--key", person.key, "--in", tmp_path / "text", "--out", tmp_path / "signature", "--yes",
                    config=False)
        told = cluster.json("quorum", "approve", shown["token"], person.name, "--signature", tmp_path / "signature",
                            user=cluster.ADMIN)
    assert told == {"approvals": 2, "needed": 2}
    assert shown["token"] in cluster.run("quorum", "list", user="bob").stdout.decode()
    cluster.run("node", "remove", node, "--yes", "--approval", shown["token"], user=cluster.ADMIN)
    assert len(cluster.json("cluster", "describe")["nodes"]) == 1


def test_whatever_decides_who_is_let_in_is_of_the_cluster_service(cluster, people):
    alice, _, _ = people
    alice.session.quorum_set("cluster", 2)
    certificate = (cluster.ca / "ca.pem").read_text()
    for call in (lambda: alice.session.rotate_key(), lambda: alice.session.give_up_damaged(1),
                 lambda: alice.session.trust_anchor_add(certificate), lambda: alice.session.trust_anchor_remove(bytes(32)),
                 lambda: alice.session.node_approve(certificate)):
        refused(hsm.QuorumNeeded, "service cluster", call)


def test_keys_of_their_own_quorum(cluster, tmp_path):
    owner, helper, stranger = (Person(cluster, tmp_path, name, role=hsm.ROLE_USER).register()
                               for name in (cluster.USER, "helper", "stranger"))
    key = owner.session.key_generate(hsm.MECHANISM_AES_KEY_GEN, {
        "LABEL": "guarded", "VALUE_LEN": 32, "TOKEN": True, "SIGN": True, "VERIFY": True, "WRAP": True, "EXTRACTABLE": True,
        "QUORUM_USE": 2, "QUORUM_MANAGEMENT": 2})
    owner.session.key_share(key, "helper")  # until it has as many users as its quorum, freely
    refused(hsm.QuorumNeeded, "key-management", owner.session.key_share, key, "stranger")
    refused(hsm.QuorumNeeded, "key-use", owner.session.sign, key, CMAC, b"message")
    token, text = owner.session.quorum_request("key-use", key, 3)
    owner.session.set_quorum_token(token)
    owner.approve(token, text)
    refused(hsm.QuorumNeeded, "1 of 2", owner.session.sign, key, CMAC, b"message")
    refused(hsm.NotPermitted, "neither owns", owner.session.quorum_approve, token, "stranger", stranger.sign(text))
    helper.approve(token, text)
    mac = owner.session.sign(key, CMAC, b"message 1")
    owner.session.verify(key, CMAC, b"message 1", mac)  # checking spends nothing
    for n in (2, 3):
        owner.session.sign(key, CMAC, f"message {n}".encode())
    refused(hsm.QuorumNeeded, "used up", owner.session.sign, key, CMAC, b"message 4")
    # A token for using it does not manage it, nor does one for another key.
    other = owner.session.key_generate(hsm.MECHANISM_AES_KEY_GEN, {"LABEL": "other", "VALUE_LEN": 32, "TOKEN": True, "QUORUM_USE": 1})
    approved(owner, [owner, helper], "key-use", key, 9)
    refused(hsm.QuorumNeeded, "another key", owner.session.sign, other, CMAC, b"message")
    wrapping = owner.session.key_generate_aes("wrapping")
    kw = hsm.Mechanism(hsm.MECHANISM_AES_KEY_WRAP_PAD)
    for call, arguments in ((owner.session.wrap, (wrapping, kw, key)), (owner.session.object_delete, (key,)),
                            (owner.session.object_set, (key, {"LABEL": "renamed"})),
                            (owner.session.object_copy, (key, {"LABEL": "copied", "TOKEN": True})), (owner.session.key_unshare, (key, "helper"))):
        refused(hsm.QuorumNeeded, "key-management", call, *arguments)
    approved(owner, [owner, helper], "key-management", key, 3)
    owner.session.wrap(wrapping, kw, key)
    owner.session.object_set(key, {"LABEL": "renamed"})
    copy = owner.session.object_copy(key, {"LABEL": "copied", "TOKEN": True})
    refused(hsm.QuorumNeeded, "", owner.session.sign, copy, CMAC, b"message")  # the copy keeps the quorum
    refused(hsm.QuorumNeeded, "used up", owner.session.object_delete, key)
    with pytest.raises(hsm.Error):  # and nobody lowers it
        owner.session.object_set(copy, {"QUORUM_USE": 0})
    with pytest.raises(hsm.TemplateInconsistent):
        owner.session.key_generate(hsm.MECHANISM_AES_KEY_GEN, {"VALUE_LEN": 32, "TOKEN": False, "QUORUM_USE": 1})


def test_a_resent_request_spends_nothing(cluster, tmp_path):
    """The answer is lost with the node that gave it; the client asks another one, and the token still pays for one."""
    owner = Person(cluster, tmp_path, cluster.USER, role=hsm.ROLE_USER).register()
    key = owner.session.key_generate(hsm.MECHANISM_AES_KEY_GEN, {"LABEL": "guarded", "VALUE_LEN": 32, "TOKEN": True, "QUORUM_USE": 1})
    token, text = approved(owner, [owner], "key-use", key, 1)
    assert owner.session.sign(key, CMAC, b"message") == owner.session.sign(key, CMAC, b"message")
    refused(hsm.QuorumNeeded, "used up", owner.session.sign, key, CMAC, b"another")
