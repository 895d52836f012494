"""The Python package against real nodes: logins, keys, cryptography, queues, users, the audit log, the life of nodes."""
import copy
import hashlib
import multiprocessing
import os
import select
import subprocess
import threading
import time

import pytest

import hsm

ECDSA = hsm.Mechanism(hsm.MECHANISM_ECDSA, hash=hsm.HASH_SHA256)
GCM = hsm.MECHANISM_AES_GCM


@pytest.fixture(scope="module")
def client(cluster):
    with hsm.Config(cluster.config) as config, hsm.Cluster(config) as opened:
        yield opened


@pytest.fixture
def session(cluster, client):
    with client.session() as opened:
        opened.login(cluster.USER, cluster.password(cluster.USER))
        yield opened


@pytest.fixture
def admin(cluster, client):
    with client.session() as opened:
        opened.login(cluster.ADMIN, cluster.password(cluster.ADMIN))
        yield opened


@pytest.fixture(scope="module")
def pair(cluster, client):
    with client.session() as session:
        session.login(cluster.USER, cluster.password(cluster.USER))
        return session.key_pair_generate_ec("python pair", hsm.CURVE_P256)


def session_aes(session, **changes):
    template = {"VALUE_LEN": 32, "TOKEN": False, "ENCRYPT": True, "DECRYPT": True, "WRAP": True, "UNWRAP": True}
    return session.key_generate(hsm.MECHANISM_AES_KEY_GEN, {**template, **changes})


# Logins

def test_login_tells_who(cluster, session):
    info = session.login_info()
    assert (info.user, info.role) == (cluster.USER, hsm.ROLE_USER)
    assert info.expires_ms > time.time() * 1000


def test_wrong_password_is_refused_by_a_node(client):
    with client.session() as session:
        with pytest.raises(hsm.LoginFailed) as caught:
            session.login("nobody-of-this-name", "wrong password")
        assert caught.value.operation == "LOGIN" and caught.value.node
        assert session.login_info().user == ""
        with pytest.raises(hsm.NotLoggedIn):
            session.random(8)


def test_default_login_and_configuration_come_from_the_environment(cluster, monkeypatch):
    for name, value in cluster.environment().items():
        monkeypatch.setenv(name, value)
    with hsm.Cluster() as opened, opened.session() as session:
        session.login_default()
        assert session.login_info().user == cluster.USER


def test_prepared_login_needs_its_password_file_no_more(cluster, tmp_path):
    file = tmp_path / "password"
    file.write_text(cluster.password(cluster.USER) + "\n")
    with hsm.Config(cluster.config, user=cluster.USER, password_file=file) as config, hsm.Cluster(config) as opened:
        with opened.session() as session:
            session.login_prepare()
            file.unlink()
            assert session.login_info().user == ""
            assert len(session.random(8)) == 8
            assert session.login_info().user == cluster.USER


def test_logout_ends_the_login(session):
    ticket = session.ticket()
    session.logout()
    with session.cluster.session() as other:
        other.login_ticket(ticket)
        with pytest.raises(hsm.TicketExpired):
            other.random(8)


def test_ticket_shares_the_session_and_its_objects(session):
    key = session_aes(session)
    with session.cluster.session() as other:
        other.login_ticket(session.ticket())
        assert other.import_object(session.export_object(key)) == key
        assert other.decrypt(key, GCM, session.encrypt(key, GCM, b"shared")) == b"shared"


# Objects

def test_attributes_are_read_changed_and_found(session):
    label = f"python {os.urandom(8).hex()}"
    key = session.key_generate(hsm.MECHANISM_AES_KEY_GEN, {"LABEL": label, "VALUE_LEN": 16, "TOKEN": True})
    try:
        everything = session.object_get(key)
        assert everything.label == label and everything[hsm.ATTR_SENSITIVE] is True
        assert everything[hsm.ATTR_VALUE_LEN] == 16 and everything[hsm.ATTR_UNIQUE_ID] == key.hex()
        assert session.object_get(key, ["ID"]).keys() <= {hsm.ATTR_ID}
        session.object_set(key, {"ID": b"\1\2"})
        assert list(session.find({"ID": b"\1\2", "LABEL": label})) == [key]
        assert list(session.find_attributes({"LABEL": label}, ["ID"])) == [(key, {hsm.ATTR_ID: b"\1\2"})]
        assert session.find_one(label, hsm.CLASS_SECRET_KEY) == key
        with pytest.raises(hsm.AttributeSensitive):
            session.object_get(key, [hsm.ATTR_VALUE])
    finally:
        session.object_delete(key)
    with pytest.raises(hsm.ObjectNotFound):
        session.object_get(key)


def test_find_crosses_pages(session):
    application = os.urandom(8).hex()
    template = {"CLASS": hsm.CLASS_DATA, "APPLICATION": application, "TOKEN": False, "VALUE": b"content"}
    made = {session.object_create({**template, "LABEL": str(number)}): str(number)
            for number in range(hsm.keys.PAGE * 2 + 3)}
    assert set(session.find({"APPLICATION": application})) == made.keys()
    found = session.find_attributes({"APPLICATION": application}, ["LABEL"])
    assert {key: attributes.label for key, attributes in found} == made


def test_find_may_be_left_early(session, pair):
    found = session.find({"LABEL": "python pair"})
    assert next(found) in pair
    found.close()


def test_copy_can_be_safer(session):
    key = session_aes(session, EXTRACTABLE=True)
    copy = session.object_copy(key, {"EXTRACTABLE": False})
    assert copy != key and session.object_get(copy)[hsm.ATTR_EXTRACTABLE] is False


def test_shared_key_is_seen_by_the_other_user(cluster, client, session, admin, pair):
    admin.user_create("python-friend", "a password of hers", hsm.ROLE_USER)
    try:
        with client.session() as friend:
            friend.login("python-friend", b"a password of hers")
            with pytest.raises(hsm.ObjectNotFound):
                friend.sign(pair[1], ECDSA, b"data")
            session.key_share(pair[1], "python-friend")
            assert len(friend.sign(pair[1], ECDSA, b"data")) == 64
            session.key_unshare(pair[1], "python-friend")
            with pytest.raises(hsm.ObjectNotFound):
                friend.sign(pair[1], ECDSA, b"data")
    finally:
        admin.user_delete("python-friend")


# Cryptography

def test_signature_verifies_only_its_data(session, pair):
    public, private = pair
    signature = session.sign(private, ECDSA, b"data")
    session.verify(public, ECDSA, b"data", signature)
    session.verify_digest(public, ECDSA, hashlib.sha256(b"data").digest(), signature)
    with pytest.raises(hsm.SignatureInvalid):
        session.verify(public, ECDSA, b"Data", signature)


def test_openssl_verifies_a_signature(session, tmp_path):
    public, private = session.key_pair_generate(hsm.MECHANISM_RSA_KEY_PAIR_GEN, {"MODULUS_BITS": 2048}, {"SIGN": True})
    digest = hashlib.sha256(b"data").digest()
    pss = hsm.Mechanism(hsm.MECHANISM_RSA_PKCS, hash=hsm.HASH_SHA256)
    for name, content in (("data", b"data"), ("signature", session.sign_digest(private, pss, digest)),
                          ("public.der", session.key_export_public(private))):
        (tmp_path / name).write_bytes(content)
    assert session.key_export_public(public) == (tmp_path / "public.der").read_bytes()
    subprocess.run(["openssl", "dgst", "-sha256", "-verify", "public.der", "-keyform", "DER", "-signature",
                    "signature", "data"], cwd=tmp_path, check=True, capture_output=True)


def test_reference_names_the_key_and_its_cluster(client, session, pair):
    public, private = pair
    made = session.key_reference(private)
    read = hsm.Reference("-----BEGIN OTHER-----\n-----END OTHER-----\n" + made.pem())
    with made, read, hsm.Reference(made.der()) as same, copy.copy(read) as copied:
        for reference in (made, read, same, copied):
            assert reference.key == private and reference.label == "python pair"
            assert reference.cluster_id == client.describe().id
            assert reference.public_key_info == session.key_export_public(public)
    with pytest.raises(hsm.InvalidArgument, match="private key"):
        session.key_reference(public)
    with pytest.raises(hsm.InvalidArgument):
        hsm.Reference("no reference")


def test_key_of_the_wrong_kind_is_named(session, pair):
    with pytest.raises(hsm.KeyFunctionNotPermitted):
        session.sign(pair[0], ECDSA, b"data")
    with pytest.raises(hsm.KeyTypeInconsistent) as caught:
        session.sign(pair[1], hsm.Mechanism(hsm.MECHANISM_HMAC, hash=hsm.HASH_SHA256), b"data")
    assert caught.value.node


def test_ciphertext_carries_the_nonce_that_the_node_made(session):
    key = session_aes(session)
    with_aad = hsm.Mechanism(GCM, aad=b"header")
    ciphertext = session.encrypt(key, with_aad, b"secret")
    assert len(ciphertext) == 6 + 16 and len(ciphertext.nonce) == hsm.NONCE_MADE_LEN and any(ciphertext.nonce)
    assert session.decrypt(key, with_aad, ciphertext) == b"secret"
    assert session.decrypt(key, with_aad.with_nonce(ciphertext.nonce), bytes(ciphertext)) == b"secret"
    with pytest.raises(hsm.CiphertextInvalid):
        session.decrypt(key, GCM, ciphertext)


def test_given_nonce_is_used(session):
    key = session.object_create({"CLASS": hsm.CLASS_SECRET_KEY, "KEY_TYPE": hsm.KEY_TYPE_AES, "VALUE": bytes(16),
                                 "ENCRYPT": True})
    # The GCM specification's test case 2 (McGrew and Viega).
    out = session.encrypt(key, hsm.Mechanism(GCM, nonce=bytes(12)), bytes(16))
    assert out.hex() == "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"


def test_data_longer_than_a_message(session):
    key = session_aes(session)
    data = os.urandom(hsm.MESSAGE_MAX + 12345)
    assert session.decrypt(key, GCM, session.encrypt(key, GCM, data)) == data


def test_parts_make_the_same_as_the_whole(session):
    key = session_aes(session)
    with session.operation(hsm.OPERATION_ENCRYPT, key, GCM) as operation:
        out = b"".join(operation.update(part) for part in (b"first ", b"", b"second " * 5000)) + operation.final()
        nonce = operation.nonce
    gcm = hsm.Mechanism(GCM, nonce=nonce)
    plain = b"first " + b"second " * 5000
    assert session.decrypt(key, gcm, out) == plain
    with session.operation(hsm.OPERATION_DECRYPT, key, gcm, hsm.OPERATION_HOLD_PLAINTEXT) as operation:
        assert operation.update(out[:-16]) == b""
        assert operation.final_tag(out[-16:]) == plain


def test_signature_in_parts(session, pair):
    public, private = pair
    with session.operation(hsm.OPERATION_SIGN, private, ECDSA) as operation:
        operation.update(b"da")
        operation.update(b"ta")
        signature = operation.final()
    session.verify(public, ECDSA, b"data", signature)
    with session.operation(hsm.OPERATION_VERIFY, public, ECDSA) as operation:
        operation.update(b"other")
        with pytest.raises(hsm.SignatureInvalid):
            operation.final_verify(signature)


def test_wrapped_key_is_unwrapped_to_the_same(session):
    wrapping, key = session_aes(session), session_aes(session, EXTRACTABLE=True)
    kind = {"CLASS": hsm.CLASS_SECRET_KEY, "KEY_TYPE": hsm.KEY_TYPE_AES}
    for mechanism in (hsm.MECHANISM_AES_KEY_WRAP_PAD, GCM):
        wrapped = session.wrap(wrapping, mechanism, key)
        again = session.unwrap(wrapping, mechanism, wrapped, {**kind, "DECRYPT": True})
        assert session.decrypt(again, GCM, session.encrypt(key, GCM, b"same")) == b"same"
    with pytest.raises(hsm.KeyUnextractable):
        session.wrap(wrapping, hsm.MECHANISM_AES_KEY_WRAP_PAD, session_aes(session))


def test_both_sides_derive_the_same_secret(session):
    pairs = [session.key_pair_generate(hsm.MECHANISM_MONTGOMERY_KEY_PAIR_GEN,
                                       {"EC_PARAMS": hsm.curve_oid(hsm.CURVE_X25519)}, {"DERIVE": True})
             for _ in range(2)]
    secrets = []
    for (_, own), (peer, _) in (pairs, pairs[::-1]):
        ecdh = hsm.Mechanism(hsm.MECHANISM_ECDH, kdf=hsm.KDF_X963, hash=hsm.HASH_SHA256,
                             peer_public=session.key_export_public(peer))
        secrets.append(session.derive(own, ecdh, {"KEY_TYPE": hsm.KEY_TYPE_AES, "VALUE_LEN": 32, "ENCRYPT": True,
                                                  "DECRYPT": True}))
    assert session.decrypt(secrets[1], GCM, session.encrypt(secrets[0], GCM, b"same")) == b"same"


def test_second_key_is_joined(session):
    secret = {"CLASS": hsm.CLASS_SECRET_KEY, "KEY_TYPE": hsm.KEY_TYPE_GENERIC_SECRET, "DERIVE": True,
              "EXTRACTABLE": True, "SENSITIVE": False}
    first, second = (session.object_create({**secret, "VALUE": value}) for value in (b"ab", b"cd"))
    joined = session.derive(first, hsm.Mechanism(hsm.MECHANISM_CONCATENATE, second_key=second),
                            {"KEY_TYPE": hsm.KEY_TYPE_GENERIC_SECRET, "SENSITIVE": False, "EXTRACTABLE": True})
    assert session.object_get(joined, ["VALUE"]) == {hsm.ATTR_VALUE: b"abcd"}


def test_both_sides_decapsulate_the_same_secret(client, session):
    def pair():
        return session.key_pair_generate(hsm.MECHANISM_ML_KEM_KEY_PAIR_GEN, {"PARAMETER_SET": 768}, {})

    offered = {mechanism.name for mechanism in client.node_describe().mechanisms}
    if "ML_KEM" not in offered:  # OpenSSL has it from 3.5 on
        with pytest.raises(hsm.NotSupported, match="ML-KEM-768"):
            pair()
        return
    public, private = pair()
    secret = {"KEY_TYPE": hsm.KEY_TYPE_AES, "ENCRYPT": True, "DECRYPT": True}
    ciphertext, ours = session.encapsulate(public, hsm.MECHANISM_ML_KEM, secret)
    theirs = session.decapsulate(private, hsm.MECHANISM_ML_KEM, ciphertext, secret)
    assert len(ciphertext) == 1088
    assert session.decrypt(theirs, GCM, session.encrypt(ours, GCM, b"same")) == b"same"


def test_random_has_the_length(session):
    assert [len(session.random(length)) for length in (1, 32, 5000)] == [1, 32, 5000]
    assert session.random(32) != session.random(32)


def test_threads_share_a_session_and_run_at_once(session, pair):
    signatures = []

    def work():
        for _ in range(20):
            signatures.append(session.sign(pair[1], ECDSA, b"data"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(signatures) == 160
    for signature in signatures[::16]:
        session.verify(pair[0], ECDSA, b"data", signature)


def test_closing_while_threads_call_harms_nobody(cluster, client, pair):
    session = client.session()
    session.login(cluster.USER, cluster.password(cluster.USER))
    started, ends = threading.Barrier(5), []

    def work():
        started.wait()
        try:
            while True:
                session.sign(pair[1], ECDSA, b"data")
        except hsm.SessionClosed as error:
            ends.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait()
    time.sleep(0.05)
    session.close()
    for thread in threads:
        thread.join(30)
    assert len(ends) == 4


def test_forked_child_signs_with_its_parents_session(session, pair):
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(
        target=lambda: sender.send_bytes(session.sign(pair[1], ECDSA, b"data")))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    session.verify(pair[0], ECDSA, b"data", receiver.recv_bytes())


# Queues

def test_queue_completes_everything_once(client, session, pair):
    with client.queue() as queue:
        for number in range(300):
            queue.submit_sign(session, pair[1], ECDSA, b"%d" % number, user_data=number)
        assert queue.outstanding == 300
        done = list(queue)
    assert sorted(completion.user_data for completion in done) == list(range(300))
    for completion in done[::50]:
        session.verify(pair[0], ECDSA, b"%d" % completion.user_data, completion.result())


def test_queue_does_every_operation(client, session, pair):
    key = session_aes(session)
    digest = hashlib.sha256(b"data").digest()
    signature = session.sign(pair[1], ECDSA, b"data")
    ciphertext = session.encrypt(key, GCM, b"secret")
    with client.queue() as queue:
        queue.submit_ping("ping")
        queue.submit_random(session, 33, "random")
        queue.submit_sign_digest(session, pair[1], ECDSA, digest, "sign_digest")
        queue.submit_verify(session, pair[0], ECDSA, b"data", signature, "verify")
        queue.submit_verify_digest(session, pair[0], ECDSA, digest, bytes(64), "verify_digest")
        queue.submit_encrypt(session, key, GCM, b"secret", "encrypt")
        queue.submit_decrypt(session, key, hsm.Mechanism(GCM, nonce=ciphertext.nonce), ciphertext, "decrypt")
        done = {completion.user_data: completion for completion in queue}
    assert len(done) == 7
    assert done["ping"].result() == b"" and done["verify"].result() == b""
    assert len(done["random"].result()) == 33
    session.verify_digest(pair[0], ECDSA, digest, done["sign_digest"].result())
    with pytest.raises(hsm.SignatureInvalid):
        done["verify_digest"].result()
    encrypted = done["encrypt"]
    assert session.decrypt(key, hsm.Mechanism(GCM, nonce=encrypted.nonce), encrypted.result()) == b"secret"
    assert done["decrypt"].result() == b"secret"


def test_queue_works_in_an_event_loop(client, session, pair):
    with client.queue() as queue:
        queue.submit_sign(session, pair[1], ECDSA, b"data")
        queue.flush()
        completion, deadline = None, time.monotonic() + 30
        while completion is None and time.monotonic() < deadline:
            select.select([queue], [], [], 1)
            completion = queue.next(0)
        assert len(completion.result()) == 64
        with pytest.raises(hsm.OperationNotActive):
            queue.next(0)


def test_queue_may_be_closed_with_operations_in_flight(cluster, client, pair):
    queue = client.queue()
    session = client.session()
    session.login(cluster.USER, cluster.password(cluster.USER))
    for _ in range(50):
        queue.submit_sign(session, pair[1], ECDSA, b"data")
    queue.flush()
    session.close()
    queue.close()
    client.ping()


def test_refused_submission_leaves_nothing_outstanding(client, pair):
    with client.queue() as queue, client.session() as anonymous:
        with pytest.raises(hsm.NotLoggedIn):
            queue.submit_sign(anonymous, pair[1], ECDSA, b"data")
        assert queue.outstanding == 0 and not queue._sessions and not queue._user_data


# Cluster, users, audit log

def test_cluster_describes_its_nodes(cluster, client):
    info = client.describe()
    assert info.name == "demo" and {node.name for node in info.nodes} == {node.name for node in cluster.nodes}
    assert all(len(node.id) == hsm.ID_LEN and len(node.certificate_hash) == 32 for node in info.nodes)


def test_node_describes_itself(cluster, client):
    name = cluster.nodes[0].name
    description = client.node_describe(name)
    assert description.name == name and description.address in cluster.nodes[0].urls
    assert {fact.name for fact in description.facts} >= {"version", "openssl"}
    gcm = next(row for row in description.mechanisms if row.mechanism == GCM)
    assert gcm.name == "AES_GCM" and gcm.uses & hsm.USE_ENCRYPT
    with pytest.raises(hsm.InvalidArgument):
        client.node_describe("no-such-node")


def test_statistics_count_requests(client):
    before = client.statistics().n_requests
    client.ping()
    after = client.statistics()
    assert after.n_requests > before and sum(node.n_requests for node in after.nodes) >= after.n_requests


def test_revision_is_passed_on(cluster, client, session, pair):
    with hsm.Cluster(hsm.Config(cluster.config)) as other:
        other.observe(client.revision)
        assert other.revision >= client.revision > 0


def test_users_are_made_changed_and_deleted(client, admin):
    admin.user_create("python-user", "first password", hsm.ROLE_AUDITOR)
    with pytest.raises(hsm.AlreadyExists):
        admin.user_create("python-user", "first password", hsm.ROLE_AUDITOR)
    assert next(user for user in client.user_list_all() if user.name == "python-user").role == hsm.ROLE_AUDITOR
    with client.session() as own:
        own.login("python-user", "first password")
        own.user_change_password("python-user", "first password", "second password")
        admin.user_change_password("python-user", None, "third password")
        own.login("python-user", "third password")
    admin.user_delete("python-user")
    with pytest.raises(hsm.UserNotFound):
        admin.user_delete("python-user")


def test_audit_log_is_one_chain(client, admin):
    node = client.describe().nodes[0]
    first = admin.audit_read(node.id, limit=5)
    assert 1 <= len(first.entries) <= 5 and first.n_total >= len(first.entries)
    entries = list(admin.audit(node.id))
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    assert all(later.previous_hash == earlier.hash for earlier, later in zip(entries, entries[1:]))
    assert all(len(entry.hash) == 32 for entry in entries)


def test_crypto_user_reads_no_audit_log(session):
    with pytest.raises(hsm.NotPermitted):
        session.audit_read()


def test_node_joins_drains_and_leaves_through_the_api(own_cluster):
    """The calls of a node's own socket; signing certificates is left to the owner's CA, as in life."""
    cluster = own_cluster
    node = cluster.nodes[-1]
    with hsm.Cluster(hsm.Config(cluster.config)) as client, hsm.Cluster.endpoint(node.socket) as socket:
        with pytest.raises(hsm.ClusterState):
            socket.create("another")
        csr, state = socket.node_csr()
        assert "CERTIFICATE REQUEST" in csr and state
        socket.node_drain()
        assert socket.node_describe().state == "draining"
        socket.node_drain(False)
        assert socket.node_describe().state != "draining"
        with client.session() as admin:
            admin.login(cluster.ADMIN, cluster.password(cluster.ADMIN))
            node_id = next(info.id for info in client.describe().nodes if info.name == node.name)
            admin.node_remove(node_id)
        states = {info.name: info.state for info in client.describe().nodes}
        assert states.get(node.name) in (None, "removed")


def test_cluster_is_born_through_the_api(tmp_path):
    from fixture.cluster import Cluster

    cluster = Cluster(2, folder=tmp_path / "cluster")
    ca = ["--directory", cluster.ca]

    def sign(node, csr):
        request, certificate = (cluster.folder / f"{node.name}.{suffix}" for suffix in ("csr", "pem"))
        request.write_text(csr)
        cluster.run("ca", "sign", *ca, "--role", "node", "--csr", request, "--out", certificate, config=False)
        return certificate.read_text(), (cluster.ca / "ca.pem").read_text()

    try:
        first, second = cluster.nodes
        cluster.run("ca", "create", *ca, "--name", "test CA", config=False)
        with hsm.Cluster.endpoint(first.start().socket) as socket:
            socket.initialize(*sign(first, socket.create("born")))
        first.wait_ready(listening=True)
        cluster.run("ca", "client", *ca, "--name", "client", "--certificate", cluster.folder / "client.pem", "--key",
                    cluster.folder / "client.key", config=False)
        config = hsm.Config(cluster.write_client_config())
        with hsm.Cluster(config) as client, client.session() as admin:
            client.activate("root", "a long password")
            with pytest.raises(hsm.ClusterState):
                client.activate("usurper", "another password")
            admin.login("root", "a long password")
            with hsm.Cluster.endpoint(second.start().socket) as socket:
                certificate, ca_certificate = sign(second, socket.node_csr()[0])
                socket.node_admit(certificate, ca_certificate, admin.node_approve(certificate))
            second.wait_ready(listening=True)
            assert client.describe().name == "born"
            assert {node.name for node in client.describe().nodes} == {first.name, second.name}
    finally:
        cluster.close()
