"""Bytes that no client would send, on the node's own socket: each is answered with an error or a closed connection, and the
node goes on."""
import hashlib
import os
import socket
import struct

import msgpack
import pytest

HANDSHAKE = b"\0SP\0\0\x30\0\0"
PROTOCOL_ERROR, VERSION_MISMATCH, TOO_LARGE, NOT_LOGGED_IN, NOT_SUPPORTED = 5, 6, 7, 10, 4
STATUS, DETAIL = 4, 5
PING = 2


class Wire:
    """An SP connection over ipc, as docs/protocol.md describes it."""

    def __init__(self, node, handshake=HANDSHAKE):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(node.state / "node.sock"))
        self.socket.sendall(handshake)
        assert self.receive(8) == b"\0SP\0\0\x31\0\0"

    def receive(self, n):
        data = b""
        while len(data) < n:
            part = self.socket.recv(n - len(data))
            if not part:
                raise ConnectionError
            data += part
        return data

    def send(self, payload, length=None):
        self.socket.sendall(b"\x01" + struct.pack(">Q", len(payload) if length is None else length) + payload)

    def call(self, message, request_id=0x80000001):
        self.send(struct.pack(">I", request_id) + (message if isinstance(message, bytes) else msgpack.packb(message)))
        kind, length = struct.unpack(">BQ", self.receive(9))
        assert kind == 1
        reply = self.receive(length)
        assert reply[:4] == struct.pack(">I", request_id)
        return msgpack.unpackb(reply[4:], strict_map_key=False)

    def closed(self):
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


@pytest.fixture(scope="module")
def node(cluster):
    return cluster.nodes[0]


@pytest.fixture(autouse=True)
def goes_on(node):
    """Whatever a test sent, the node serves the next client."""
    yield
    assert node.running()
    assert Wire(node).call([1, {}, [[PING, {29: b"still there"}]]])[2] == [[0, {29: b"still there"}]]


def test_a_good_message_is_answered(node):
    version, header, answers = Wire(node).call([1, {}, [[PING, {29: b"x"}], [PING, {}]]])
    assert version == 1 and header[2] > 0
    assert answers == [[0, {29: b"x"}], [0, {}]]


@pytest.mark.parametrize("message, status", [
    (b"", PROTOCOL_ERROR),
    (b"\xc1", PROTOCOL_ERROR),
    (b"hello", PROTOCOL_ERROR),
    (b"\x93\x01\x80", PROTOCOL_ERROR),
    (b"\xdd\xff\xff\xff\xff", TOO_LARGE),
    (b"\x93\x01\x81\x02" + b"\x91" * 100 + b"\x90\x90", PROTOCOL_ERROR),
    (b"\x93\x01\x81\x7f" + b"\x91" * 100 + b"\x90\x90", TOO_LARGE),
    (b"\x93\x63\x80\x90", VERSION_MISMATCH),
    (msgpack.packb([1, {1: "no bytes"}, []]), PROTOCOL_ERROR),
    (msgpack.packb([1, {}, [[PING, {}]] * 1025]), TOO_LARGE),
])
def test_a_message_that_is_none_is_refused_as_a_whole(node, message, status):
    _, header, answers = Wire(node).call(message)
    assert header[STATUS] == status and header[DETAIL] and answers == []


@pytest.mark.parametrize("request_, status", [
    ([99, {}], NOT_SUPPORTED),
    ([PING, {14: b"short"}], PROTOCOL_ERROR),
    ([PING, {29: "text"}], PROTOCOL_ERROR),
    ([PING, {29: b"x" * ((1 << 20) + 1)}], TOO_LARGE),
    ([50, {14: b"i" * 16, 17: 11, 29: b"d"}], NOT_LOGGED_IN),
    ([50, {}], PROTOCOL_ERROR),
])
def test_a_bad_request_does_not_spoil_the_others(node, request_, status):
    _, _, answers = Wire(node).call([1, {}, [request_, [PING, {29: b"next"}]]])
    assert answers[0][0] == status and answers[0][1][DETAIL]
    assert answers[1] == [0, {29: b"next"}]


def test_a_forged_ticket_is_refused(node):
    _, _, answers = Wire(node).call([1, {1: os.urandom(150)}, [[60, {32: 8}], [PING, {}]]])
    assert answers[0][0] == 11 and answers[1][0] == 0


@pytest.mark.parametrize("frame", [
    struct.pack(">BQ", 1, 1 << 40),
    struct.pack(">BQ", 2, 8) + b"x" * 8,
    struct.pack(">BQ", 1, 2) + b"xx",
    struct.pack(">BQ", 1, 8) + b"\0" * 8,
    hashlib.sha512(b"no frame").digest(),
])
def test_a_frame_that_is_none_ends_the_connection(node, frame):
    wire = Wire(node)
    wire.socket.sendall(frame)
    wire.socket.shutdown(socket.SHUT_WR)
    assert wire.closed()


def test_another_sp_protocol_is_refused(node):
    with pytest.raises(ConnectionError):
        Wire(node, b"\0SP\0\0\x10\0\0").receive(1)


def test_a_message_that_never_ends_holds_up_nobody(node):
    wire = Wire(node)
    wire.send(b"\x80\0\0\1", length=1000)
    assert Wire(node).call([1, {}, [[PING, {}]]])[2] == [[0, {}]]


def test_requests_may_overtake_each_other(node):
    """Many under way on one connection: each reply carries its request's id."""
    wire = Wire(node)
    for i in range(50):
        wire.send(struct.pack(">I", 0x80000000 + i) + msgpack.packb([1, {}, [[PING, {29: bytes([i])}]]]))
    seen = set()
    for _ in range(50):
        _, length = struct.unpack(">BQ", wire.receive(9))
        reply = wire.receive(length)
        i = struct.unpack(">I", reply[:4])[0] - 0x80000000
        assert msgpack.unpackb(reply[4:], strict_map_key=False)[2] == [[0, {29: bytes([i])}]]
        seen.add(i)
    assert len(seen) == 50
