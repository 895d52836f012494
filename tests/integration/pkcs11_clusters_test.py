"""Several clusters at once: a slot for each, and nothing of one in the other."""
import textwrap

import pytest

from fixture.cluster import Cluster
from fixture.pkcs11 import MODULE, Token

BEGIN = """
import sys
import PyKCS11
from PyKCS11 import *

library = PyKCS11Lib()
library.load(sys.argv[1])
pins = sys.argv[2:]
slots = library.getSlotList(tokenPresent=True)


def fails(result, call):
    try:
        call()
    except PyKCS11Error as error:
        assert error.value == result, error
        return
    raise AssertionError(f"succeeded instead of {result:#x}")


def opened(i):
    return library.openSession(slots[i], CKF_SERIAL_SESSION | CKF_RW_SESSION)


def make_data(session, label):
    return session.createObject([(CKA_CLASS, CKO_DATA), (CKA_TOKEN, True), (CKA_PRIVATE, True), (CKA_LABEL, label)])


def labels(session):
    return sorted(session.getAttributeValue(found, [CKA_LABEL])[0] for found in session.findObjects([(CKA_CLASS, CKO_DATA)]))
"""


@pytest.fixture(scope="module")
def clusters(tmp_path_factory):
    with Cluster(1, folder=tmp_path_factory.mktemp("one")) as one, Cluster(1, folder=tmp_path_factory.mktemp("two")) as two:
        yield one, two


@pytest.fixture
def script(clusters):
    with Token(clusters[0]) as one, Token(clusters[1]) as two:
        one.environment["HSM_PKCS11_CLUSTERS"] = f"{one.config}:{two.config}"

        def run(lines, **options):
            path = one.write("script.py", BEGIN + textwrap.dedent(lines))
            return one.run("/usr/bin/python3", path, MODULE, one.pin, two.pin, **options)
        yield run


def test_each_has_a_slot_and_a_token_of_its_own(script):
    script("""
    assert list(slots) == [0, 1]
    infos = [library.getTokenInfo(slot) for slot in slots]
    assert infos[0].serialNumber != infos[1].serialNumber
    assert library.getSlotInfo(0).slotDescription != library.getSlotInfo(1).slotDescription
    fails(CKR_SLOT_ID_INVALID, lambda: library.getTokenInfo(2))
    """)


def test_logins_are_independent(script):
    script("""
    one, two = opened(0), opened(1)
    one.login(pins[0])
    assert one.getSessionInfo().state == CKS_RW_USER_FUNCTIONS
    assert two.getSessionInfo().state == CKS_RW_PUBLIC_SESSION
    fails(CKR_USER_NOT_LOGGED_IN, lambda: make_data(two, "x"))
    two.login(pins[1])
    one.logout()
    assert two.getSessionInfo().state == CKS_RW_USER_FUNCTIONS
    library.closeAllSessions(slots[0])
    assert two.getSessionInfo().state == CKS_RW_USER_FUNCTIONS
    make_data(two, "still there")
    """)


def test_objects_are_not_mixed(script):
    script("""
    one, two = opened(0), opened(1)
    one.login(pins[0])
    two.login(pins[1])
    before = set(labels(one)), set(labels(two))
    first, second = make_data(one, "of one"), make_data(two, "of two")
    make_data(two, "of two as well")
    assert set(labels(one)) - before[0] == {"of one"}
    assert set(labels(two)) - before[1] == {"of two", "of two as well"}
    one.destroyObject(first)
    assert "of two" in labels(two)
    """)


def test_one_that_is_down_does_not_disturb_the_other(clusters, script):
    two = clusters[1].nodes[0]
    two.keep_ports()
    two.stop()
    try:
        script("""
        assert list(slots) == [0, 1]
        fails(CKR_DEVICE_ERROR, lambda: library.getTokenInfo(1))
        one, two = opened(0), opened(1)
        fails(CKR_DEVICE_ERROR, lambda: two.login(pins[1]))
        one.login(pins[0])
        make_data(one, "meanwhile")
        assert "meanwhile" in labels(one)
        assert two.getSessionInfo().state == CKS_RW_PUBLIC_SESSION
        # A cluster that cannot be reached is not one that was pulled out.
        fails(CKR_NO_EVENT, lambda: library.waitForSlotEvent(CKF_DONT_BLOCK))
        """, HSM_TIMEOUT_MS="1500")
    finally:
        two.start()
    script("""
    two = opened(1)
    two.login(pins[1])
    make_data(two, "again")
    """)
