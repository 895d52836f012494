"""A stock NNG req0 socket as the client, with numbers and rules from docs/protocol.md alone: over each transport that needs
no TLS engine, which Debian's NNG lacks. What libhsm does not do on a wire is tried here too: a request sent twice, a
ticket that is no longer good, data of wrong length."""
import ctypes
import ctypes.util
import itertools
import os
import re
import subprocess

import msgpack
import pytest

from conftest import ROOT
from fixture.cluster import Cluster

DOC = (ROOT / "docs/protocol.md").read_text()


def table(title):
    """Names and numbers of one table of the page."""
    section = DOC.split(f"### {title}\n")[1].split("\n### ")[0]
    cells = [re.split(r"\s*\|\s*", line)[1:3] for line in section.splitlines() if re.match(r"\| \d+ \|", line)]
    return {name.split(":")[0].strip("`"): int(number) for number, name in cells}


OPERATION, FIELD, STATUS = table("Operations"), table("Fields"), table("Statuses")
MECHANISM, ATTRIBUTE, HASH = table("Mechanisms"), table("Attributes"), table("Hashes")


class Socket(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint32)]


class StockNng:
    """libnng as Debian ships it."""

    def __init__(self, url):
        self.nng = ctypes.CDLL(ctypes.util.find_library("nng"))
        self.nng.nng_strerror.restype = ctypes.c_char_p
        self.socket = Socket()
        self.check(self.nng.nng_req0_open(ctypes.byref(self.socket)))
        self.check(self.nng.nng_socket_set_ms(self.socket, b"recv-timeout", 10_000))
        self.check(self.nng.nng_dial(self.socket, url.encode(), None, 0))
        self.ticket = None

    def check(self, code):
        assert code == 0, self.nng.nng_strerror(code)

    def close(self):
        self.nng.nng_close(self.socket)

    def exchange(self, message):
        reply, size = ctypes.create_string_buffer(1 << 20), ctypes.c_size_t(1 << 20)
        self.check(self.nng.nng_send(self.socket, message, ctypes.c_size_t(len(message)), 0))
        self.check(self.nng.nng_recv(self.socket, reply, ctypes.byref(size), 0))
        return reply.raw[:size.value]

    def call(self, *requests):
        """[(operation, {field: value})] to [(status name, {field: value})]."""
        header = {FIELD["TICKET"]: self.ticket} if self.ticket else {}
        numbered = [[OPERATION[name], {FIELD[field]: value for field, value in fields.items()}] for name, fields in requests]
        version, _, answers = msgpack.unpackb(self.exchange(msgpack.packb([1, header, numbered])), strict_map_key=False)
        assert version == 1 and len(answers) == len(requests)
        fields, statuses = ({number: name for name, number in names.items()} for names in (FIELD, STATUS))
        return [(statuses[status], {fields[number]: value for number, value in answer.items()}) for status, answer in answers]

    def one(self, operation, **fields):
        return self.call((operation, fields))[0]

    def log_in(self, user, password):
        status, answer = self.one("LOGIN", USER_NAME=user, PASSWORD=password.encode())
        assert status == "OK", answer
        self.ticket = answer["TICKET"]


@pytest.fixture(scope="module")
def reachable(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nng")
    settings = {"listen": ["tls+tcp://127.0.0.1:0", "tcp://127.0.0.1:0", f"ipc://{folder}/listen.sock"],
                "listen-nng": ["ws://127.0.0.1:0/hsm"]}
    with Cluster(1, settings=settings) as made:
        yield made


@pytest.fixture(params=["tcp", "ipc", "ws"])
def client(reachable, request):
    made = StockNng(next(url for url in reachable.nodes[0].urls if url.startswith(f"{request.param}://")))
    yield made
    made.close()


@pytest.fixture
def user(client, reachable):
    client.log_in(Cluster.USER, reachable.password(Cluster.USER))
    return client


def attributes(**values):
    return {ATTRIBUTE[name]: value for name, value in values.items()}


def new():
    return {"OBJECT_ID": os.urandom(16), "REQUEST_ID": os.urandom(16)}


def test_a_stock_client_signs_what_openssl_verifies(user, tmp_path):
    status, hello = user.one("HELLO", VERSION_MIN=1, VERSION_MAX=1)
    assert status == "OK" and hello["VERSION"] == 1
    p256 = bytes.fromhex("06082a8648ce3d030107")
    status, pair = user.one("KEY_PAIR_GENERATE", **new(), PUBLIC_ID=os.urandom(16), MECHANISM=MECHANISM["EC_KEY_PAIR_GEN"],
                            ATTRIBUTES=attributes(TOKEN=True, LABEL=b"stock"),
                            PUBLIC_ATTRIBUTES=attributes(TOKEN=True, EC_PARAMS=p256))
    assert status == "OK", pair
    data = b"signed through a stock NNG socket"
    digest = subprocess.run(["openssl", "dgst", "-sha256", "-binary"], input=data, capture_output=True, check=True).stdout
    sign = {"OBJECT_ID": pair["OBJECT_ID"], "MECHANISM": MECHANISM["ECDSA"], "HASH": HASH["SHA256"], "DATA": digest}
    (status, signed), (told, key) = user.call(
        ("SIGN", sign), ("OBJECT_GET", {"OBJECT_ID": pair["PUBLIC_ID"], "WANTED": [ATTRIBUTE["VALUE"]]}))
    assert (status, told) == ("OK", "OK"), (signed, key)
    r, s = signed["OUTPUT"][:32], signed["OUTPUT"][32:]
    (tmp_path / "data").write_bytes(data)
    (tmp_path / "key.der").write_bytes(key["ATTRIBUTES"][ATTRIBUTE["VALUE"]])
    (tmp_path / "signature").write_bytes(der_sequence(r, s))
    subprocess.run(["openssl", "dgst", "-sha256", "-verify", "key.der", "-keyform", "DER", "-signature", "signature", "data"],
                   cwd=tmp_path, check=True, capture_output=True)


def der_sequence(*numbers):
    integers = b""
    for number in numbers:
        number = number.lstrip(b"\0")
        number = b"\0" + number if number[0] & 0x80 else number
        integers += bytes([2, len(number)]) + number
    return bytes([0x30, len(integers)]) + integers


def test_a_request_sent_twice_makes_one_key(user):
    label = os.urandom(8)
    request = ("KEY_GENERATE", {**new(), "MECHANISM": MECHANISM["AES_KEY_GEN"],
                                "ATTRIBUTES": attributes(TOKEN=True, VALUE_LEN=32, LABEL=label)})
    (status, first), = user.call(request)
    assert status == "OK"
    (status, again), = user.call(request)
    assert (status, again["OBJECT_ID"]) == ("OK", first["OBJECT_ID"])
    assert again["ATTRIBUTES"] == first["ATTRIBUTES"]
    (status, other), = user.call((request[0], {**request[1], "REQUEST_ID": os.urandom(16)}))
    assert status == "ALREADY_EXISTS", other
    status, found = user.one("OBJECT_FIND", ATTRIBUTES=attributes(LABEL=label))
    assert status == "OK" and len(found["RECORDS"]) == 1


def test_a_deletion_sent_twice_is_done_once(user):
    status, made = user.one("KEY_GENERATE", **new(), MECHANISM=MECHANISM["AES_KEY_GEN"],
                            ATTRIBUTES=attributes(TOKEN=True, VALUE_LEN=16))
    assert status == "OK"
    deletion = ("OBJECT_DELETE", {"OBJECT_ID": made["OBJECT_ID"], "REQUEST_ID": os.urandom(16)})
    assert [status for status, _ in user.call(deletion, deletion)] == ["OK", "OK"]
    status, refusal = user.one("OBJECT_DELETE", OBJECT_ID=made["OBJECT_ID"], REQUEST_ID=os.urandom(16))
    assert status == "OBJECT_NOT_FOUND" and refusal["DETAIL"]


def test_data_of_wrong_length_is_named(user):
    status, aes = user.one("KEY_GENERATE", **new(), MECHANISM=MECHANISM["AES_KEY_GEN"],
                           ATTRIBUTES=attributes(TOKEN=True, VALUE_LEN=32))
    assert status == "OK"
    key = {"OBJECT_ID": aes["OBJECT_ID"]}
    cases = [
        ("ENCRYPT", {"MECHANISM": MECHANISM["AES_CBC"], "NONCE": bytes(15), "DATA": bytes(16)}, "MECHANISM_PARAM_INVALID"),
        ("ENCRYPT", {"MECHANISM": MECHANISM["AES_CBC"], "NONCE": bytes(16), "DATA": bytes(17)}, "DATA_LENGTH"),
        ("ENCRYPT", {"MECHANISM": MECHANISM["AES_GCM"], "TAG_LEN": 17, "DATA": b"x"}, "MECHANISM_PARAM_INVALID"),
        ("DECRYPT", {"MECHANISM": MECHANISM["AES_GCM"], "NONCE": bytes(12), "DATA": bytes(15)}, "DATA_LENGTH"),
        ("DECRYPT", {"MECHANISM": MECHANISM["AES_ECB"], "DATA": bytes(31)}, "DATA_LENGTH"),
        ("SIGN", {"MECHANISM": MECHANISM["ECDSA"], "HASH": HASH["SHA256"], "DATA": bytes(32)}, "KEY_TYPE_INCONSISTENT"),
    ]
    answers = user.call(*[(operation, key | fields) for operation, fields, _ in cases])
    assert [status for status, _ in answers] == [status for _, _, status in cases], answers
    assert all(answer["DETAIL"] for _, answer in answers)


def test_a_ticket_is_no_good_after_the_password_was_changed(client, reachable):
    name, password = f"u{next(numbers)}", "first password of many"
    reachable.set_password(name, password)
    reachable.run("user", "create", name, "--role", "crypto-user", "--new-password-file", reachable.passwords[name],
                  user=Cluster.ADMIN)
    client.log_in(name, password)
    assert client.one("RANDOM", OUTPUT_LEN=8)[0] == "OK"
    changed = client.one("USER_CHANGE_PASSWORD", USER_NAME=name, PASSWORD=password.encode(), NEW_PASSWORD=b"second password of many")
    assert changed[0] == "OK", changed
    status, answer = client.one("RANDOM", OUTPUT_LEN=8)
    assert status == "TICKET_EXPIRED" and "log in again" in answer["DETAIL"]
    assert client.one("LOGIN", USER_NAME=name, PASSWORD=password.encode())[0] == "LOGIN_FAILED"
    client.log_in(name, "second password of many")
    assert client.one("RANDOM", OUTPUT_LEN=8)[0] == "OK"


numbers = itertools.count()
