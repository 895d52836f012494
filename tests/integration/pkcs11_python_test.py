"""PyKCS11 with the module: what scripts do. In a process of its own, as the module is configured by variables."""
import textwrap

import pytest

from fixture.pkcs11 import MODULE

BEGIN = """
import sys
import PyKCS11
from PyKCS11 import *

library = PyKCS11Lib()
library.load(sys.argv[1])
slot = library.getSlotList(tokenPresent=True)[0]
session = library.openSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION)


def fails(result, call):
    try:
        call()
    except PyKCS11Error as error:
        assert error.value == result, error
        return
    raise AssertionError(f"succeeded instead of {result:#x}")
"""
LOGIN = "session.login(sys.argv[2])\n"


@pytest.fixture
def script(token):
    """Runs Python lines after those that open a session, by default logged in."""
    def run(lines, login=True):
        path = token.write("script.py", BEGIN + (LOGIN if login else "") + textwrap.dedent(lines))
        return token.run("/usr/bin/python3", path, MODULE, token.pin)
    return run


def test_a_session_logs_in_once_and_out_again(script):
    script("""
    fails(CKR_USER_NOT_LOGGED_IN, lambda: session.generateKey([(CKA_CLASS, CKO_SECRET_KEY)]))
    fails(CKR_PIN_INCORRECT, lambda: session.login(sys.argv[2] + "x"))
    session.login(sys.argv[2])
    fails(CKR_USER_ALREADY_LOGGED_IN, lambda: session.login(sys.argv[2]))
    assert session.getSessionInfo().state == CKS_RW_USER_FUNCTIONS
    other = library.openSession(slot)
    assert other.getSessionInfo().state == CKS_RO_USER_FUNCTIONS
    session.logout()
    assert other.getSessionInfo().state == CKS_RO_PUBLIC_SESSION
    fails(CKR_USER_NOT_LOGGED_IN, session.logout)
    """, login=False)


def test_a_secret_key_encrypts_and_decrypts(script):
    script("""
    key = session.generateKey([(CKA_CLASS, CKO_SECRET_KEY), (CKA_KEY_TYPE, CKK_AES), (CKA_VALUE_LEN, 32), (CKA_LABEL, "k"),
                               (CKA_TOKEN, True), (CKA_SENSITIVE, True), (CKA_ENCRYPT, True), (CKA_DECRYPT, True)])
    for mechanism in (Mechanism(CKM_AES_CBC_PAD, bytes(16)), AES_GCM_Mechanism(bytes(range(12)), b"aad", 128)):
        secret = bytes(session.encrypt(key, b"text" * 100, mechanism))
        assert bytes(session.decrypt(key, secret, mechanism)) == b"text" * 100
    assert session.getAttributeValue(key, [CKA_VALUE], True) == [None]
    altered = secret[:-1] + bytes([secret[-1] ^ 1])
    fails(CKR_ENCRYPTED_DATA_INVALID, lambda: session.decrypt(key, altered, mechanism))
    """)


def test_a_pair_signs_verifies_and_refuses_what_was_altered(script):
    script("""
    public, private = session.generateKeyPair(
        [(CKA_CLASS, CKO_PUBLIC_KEY), (CKA_MODULUS_BITS, 2048), (CKA_PUBLIC_EXPONENT, (1, 0, 1)), (CKA_VERIFY, True),
         (CKA_TOKEN, False)],
        [(CKA_CLASS, CKO_PRIVATE_KEY), (CKA_SIGN, True), (CKA_DECRYPT, False), (CKA_TOKEN, False)])
    for mechanism in (Mechanism(CKM_SHA256_RSA_PKCS), RSA_PSS_Mechanism(CKM_SHA256_RSA_PKCS_PSS, CKM_SHA256, CKG_MGF1_SHA256, 32)):
        signature = bytes(session.sign(private, b"text", mechanism))
        assert session.verify(public, b"text", signature, mechanism)
        assert not session.verify(public, b"test", signature, mechanism)
        assert not session.verify(public, b"text", signature[:-1] + bytes([signature[-1] ^ 1]), mechanism)
    fails(CKR_KEY_FUNCTION_NOT_PERMITTED, lambda: session.decrypt(private, bytes(256), Mechanism(CKM_RSA_PKCS)))
    """)


def test_an_elliptic_curve_pair_signs(script):
    script("""
    p256 = bytes.fromhex("06082a8648ce3d030107")
    public, private = session.generateKeyPair(
        [(CKA_CLASS, CKO_PUBLIC_KEY), (CKA_KEY_TYPE, CKK_EC), (CKA_EC_PARAMS, p256), (CKA_VERIFY, True), (CKA_ID, b"x")],
        [(CKA_CLASS, CKO_PRIVATE_KEY), (CKA_KEY_TYPE, CKK_EC), (CKA_SIGN, True), (CKA_TOKEN, True), (CKA_ID, b"x")],
        MechanismECGENERATEKEYPAIR)
    signature = session.sign(private, b"text", Mechanism(CKM_ECDSA_SHA256))
    assert len(signature) == 64
    assert session.verify(public, b"text", signature, Mechanism(CKM_ECDSA_SHA256))
    assert bytes(session.getAttributeValue(private, [CKA_EC_PARAMS])[0]) == p256
    """)


def test_objects_are_found_by_what_they_are(script):
    script("""
    for n in range(30):
        session.generateKey([(CKA_CLASS, CKO_SECRET_KEY), (CKA_KEY_TYPE, CKK_AES), (CKA_VALUE_LEN, 16), (CKA_LABEL, f"n{n}"),
                             (CKA_TOKEN, n % 2 == 0), (CKA_ID, bytes([n % 3]))])
    assert len(session.findObjects()) == 30
    assert len(session.findObjects([(CKA_TOKEN, True)])) == 15
    assert len(session.findObjects([(CKA_ID, bytes([1]))])) == 10
    found = session.findObjects([(CKA_LABEL, "n7")])
    assert len(found) == 1 and session.getAttributeValue(found[0], [CKA_LABEL, CKA_VALUE_LEN]) == ["n7", 16]
    assert session.findObjects([(CKA_LABEL, "none")]) == []
    session.setAttributeValue(found[0], [(CKA_LABEL, "renamed")])
    assert len(session.findObjects([(CKA_LABEL, "renamed")])) == 1
    session.destroyObject(found[0])
    assert len(session.findObjects()) == 29
    fails(CKR_OBJECT_HANDLE_INVALID, lambda: session.destroyObject(found[0]))
    """)


def test_session_objects_go_with_their_session(script):
    script("""
    other = library.openSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION)
    other.generateKey([(CKA_CLASS, CKO_SECRET_KEY), (CKA_KEY_TYPE, CKK_AES), (CKA_VALUE_LEN, 16), (CKA_TOKEN, False)])
    assert len(session.findObjects()) == 1
    other.closeSession()
    assert session.findObjects() == []
    """)


def test_a_key_travels_wrapped(script):
    script("""
    def make(**more):
        return session.generateKey([(CKA_CLASS, CKO_SECRET_KEY), (CKA_KEY_TYPE, CKK_AES), (CKA_VALUE_LEN, 32), (CKA_ENCRYPT, True),
                                    (CKA_DECRYPT, True), (CKA_EXTRACTABLE, True), (CKA_WRAP, True), (CKA_UNWRAP, True)])
    outer, inner = make(), make()
    secret = bytes(session.encrypt(inner, bytes(16), Mechanism(CKM_AES_ECB)))
    wrapped = bytes(session.wrapKey(outer, inner, Mechanism(CKM_AES_KEY_WRAP_PAD)))
    back = session.unwrapKey(outer, wrapped, [(CKA_CLASS, CKO_SECRET_KEY), (CKA_KEY_TYPE, CKK_AES), (CKA_ENCRYPT, True),
                                              (CKA_DECRYPT, True)], Mechanism(CKM_AES_KEY_WRAP_PAD))
    assert bytes(session.encrypt(back, bytes(16), Mechanism(CKM_AES_ECB))) == secret
    fails(CKR_WRAPPED_KEY_INVALID, lambda: session.unwrapKey(outer, wrapped[:-1] + bytes([wrapped[-1] ^ 1]), [
        (CKA_CLASS, CKO_SECRET_KEY), (CKA_KEY_TYPE, CKK_AES)], Mechanism(CKM_AES_KEY_WRAP_PAD)))
    """)


def test_digests_and_random_bytes(script):
    script("""
    import hashlib
    for name, mechanism in (("sha1", CKM_SHA_1), ("sha256", CKM_SHA256), ("sha384", CKM_SHA384), ("sha512", CKM_SHA512)):
        assert bytes(session.digest(b"text", Mechanism(mechanism))) == hashlib.new(name, b"text").digest()
    assert len(set(session.generateRandom(1000))) > 100
    """)


def test_every_mechanism_that_is_listed_is_described(script):
    script("""
    types = PyKCS11.LowLevel.ckintlist(200)  # getMechanismList knows none that is newer than itself
    assert library.lib.C_GetMechanismList(slot, types) == CKR_OK
    assert len(types) > 40 and CKM_AES_GCM in types and len(set(types)) == len(types)
    for kind in types:
        assert library.lib.C_GetMechanismInfo(slot, kind, PyKCS11.LowLevel.CK_MECHANISM_INFO()) == CKR_OK
    """, login=False)


def test_the_module_ends_and_begins_again(script):
    script("""
    session.closeSession()
    library.lib.C_Finalize()
    library.lib.C_Initialize()
    session = library.openSession(library.getSlotList()[0], CKF_SERIAL_SESSION | CKF_RW_SESSION)
    session.login(sys.argv[2])
    session.generateKey([(CKA_CLASS, CKO_SECRET_KEY), (CKA_KEY_TYPE, CKK_AES), (CKA_VALUE_LEN, 16)])
    """)


def test_a_child_of_fork_goes_on_and_leaves_its_parent_alone(script):
    script("""
    import os
    key = session.generateKey([(CKA_CLASS, CKO_SECRET_KEY), (CKA_KEY_TYPE, CKK_AES), (CKA_VALUE_LEN, 16), (CKA_ENCRYPT, True),
                               (CKA_TOKEN, True)])

    def use():
        return bytes(session.encrypt(key, bytes(16), Mechanism(CKM_AES_ECB)))

    secret, children = use(), []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            os._exit(0 if use() == secret else 1)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    assert use() == secret
    """)
