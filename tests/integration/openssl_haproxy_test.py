"""HAProxy as Debian builds it, with keys of the cluster and asynchronous handshakes: samples/tls-offload as it stands."""
import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import threading
import time

import pytest

from fixture import process
from fixture.program import not_sanitized, running, wait_until
from fixture.slow_line import SlowLine
from fixture.tls_server import AT_ONCE_S, NO_NODE_S, TlsServer
from fixture.web import web

pytestmark = not_sanitized

FAR_S = 0.02  # one way


class Log:
    """The datagrams that HAProxy writes to /dev/log, in a file."""

    def __init__(self, path, file):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        path.chmod(0o666)
        self.file = file
        file.touch()
        self.thread = threading.Thread(target=self.write, daemon=True)

    def write(self):
        with self.file.open("ab", buffering=0) as file:
            while line := self.socket.recv(65536):
                file.write(line)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()


class Haproxy(TlsServer):
    name = "haproxy"
    n_workers = 1

    @contextlib.contextmanager
    def running(self):
        provider = self.provider
        root = provider.path("chroot")
        shutil.rmtree(root, ignore_errors=True)
        provider.path("server.log").unlink(missing_ok=True)
        provider.fetch_answers()
        with web(provider.www) as web_port, Log(root / "dev/log", self.log):
            self.config = provider.sample("haproxy.cfg", {
                "bind :443": f"bind 127.0.0.1:{self.port}", "127.0.0.1:8080": f"127.0.0.1:{web_port}",
                "/var/lib/haproxy": root, "/run/haproxy": provider.folder})
            # As Debian's service starts it; on one processor, for which HAProxy starts one thread.
            with running(provider, "taskset", "-c", "0", "haproxy", "-Ws", "-f", self.config, port=self.port) as master:
                self.master = master.pid
                wait_until(self.master_waits, "the master is ready")
                yield self

    def worker(self):
        [worker] = self.workers()
        return worker

    def reload(self):
        """Returns when the master says that it is done and waits for the next, and the old worker is gone."""
        before, n_loaded, n_begun = self.worker(), self.said("Loading success"), self.said("Reloading HAProxy")
        while self.said("Reloading HAProxy") == n_begun:  # it misses what comes before it is quite ready itself
            os.kill(self.master, signal.SIGUSR2)
            time.sleep(0.1)
        wait_until(lambda: self.said("Loading success") > n_loaded and before not in self.workers() and self.master_waits(),
                   "a new worker")

    def master_waits(self):
        """Not so while it executes itself anew, when it has fewer descriptors than usual."""
        return "anon_inode:[eventpoll]" in process.descriptors(self.master)

    def said(self, text):
        return self.provider.path("server.log").read_text().count(text)

    def waits(self):
        """How many descriptors of waiting handshakes the worker has."""
        return process.descriptors(self.worker()).count("anon_inode:[eventpoll]")


@pytest.fixture
def haproxy(offload):
    with Haproxy(offload).running() as server:
        yield server


def test_both_certificates_are_served_and_sessions_resumed(haproxy):
    haproxy.shows_each_certificate_in_each_version()
    haproxy.resumes_sessions()
    haproxy.only_workers_connect()


def test_the_answers_beside_its_certificates_are_stapled(haproxy):
    haproxy.staples()


def test_its_worker_is_caged_and_has_no_rights(haproxy):
    root = haproxy.provider.path("chroot")
    haproxy.serves(20)
    assert os.path.samefile(f"/proc/{haproxy.worker()}/root", root)
    haproxy.workers_have_no_rights("haproxy")


def test_no_visitor_sees_the_loss_of_a_node(haproxy):
    haproxy.survives_loss_of_a_node()


def test_without_a_node_it_fails_fast_says_why_and_recovers(offload):
    with offload.impatient(), Haproxy(offload).running() as haproxy, haproxy.without_nodes():
        assert haproxy.turns_away_in() < NO_NODE_S
        wait_until(lambda: haproxy.turns_away_in() < AT_ONCE_S, "the worker knows that nobody answers")


def test_silent_nodes_are_given_up_though_nothing_else_happens(offload):
    with offload.impatient(), Haproxy(offload).running() as haproxy:
        haproxy.get()
        for node in offload.cluster.nodes:
            node.pause()
        try:
            assert haproxy.turns_away_in() < NO_NODE_S
        finally:
            for node in offload.cluster.nodes:
                node.resume()
        wait_until(haproxy.is_well, "visitors are served again")


def test_no_visitor_sees_a_reload_and_nothing_is_leaked(haproxy):
    haproxy.reloads()


# --- many handshakes of one thread ---

class Crowd:
    """Visitors who connect at the same time and stay until all are in."""

    def __init__(self, haproxy, n):
        self.haproxy, self.n = haproxy, n
        self.n_inside = self.most_waits = 0

    async def visit(self, leave):
        _, writer = await asyncio.open_connection("127.0.0.1", self.haproxy.port, ssl=self.haproxy.context,
                                                  server_hostname="localhost", ssl_handshake_timeout=60)
        self.n_inside += 1
        await leave.wait()
        writer.transport.abort()

    async def visits(self, meanwhile):
        leave = asyncio.Event()
        visitors = [asyncio.create_task(self.visit(leave)) for _ in range(self.n)]
        change = asyncio.create_task(asyncio.to_thread(meanwhile))
        while self.n_inside < self.n and not any(visitor.done() for visitor in visitors):
            self.most_waits = max(self.most_waits, self.haproxy.waits())
            await asyncio.sleep(0.02)
        leave.set()
        await asyncio.gather(change, *visitors)

    def come(self, meanwhile=lambda: None):
        asyncio.run(self.visits(meanwhile))
        assert self.n_inside == self.n
        return self


@contextlib.contextmanager
def far_away(offload):
    """The nodes at the end of a slow line; what HAProxy then is."""
    with SlowLine(sorted(offload.node_ports), FAR_S) as line:
        offload.configure(**{"nodes": [f"tls+tcp://127.0.0.1:{port}" for port in line.ports], "refresh-interval-ms": 0})
        try:
            with Haproxy(offload).running() as haproxy:
                haproxy.get()
                yield haproxy
        finally:
            offload.configure()


def test_one_thread_waits_for_hundreds_of_signatures_at_once(offload):
    with far_away(offload) as haproxy:
        idle = haproxy.waits()
        crowd = Crowd(haproxy, 1000).come()
        assert crowd.most_waits > 100
        wait_until(lambda: haproxy.waits() == idle, "nothing is left of them")


def test_none_of_thousands_is_lost_when_a_node_is_killed(haproxy):
    victim = haproxy.cluster.nodes[0]

    def kill():
        wait_until(lambda: crowd.n_inside > 300, "some are in")
        victim.kill()

    crowd = Crowd(haproxy, 2000)
    try:
        crowd.come(kill)
    finally:
        victim.start()


def hello_of(haproxy):
    """What a visitor says first."""
    hello = ssl.MemoryBIO()
    secured = haproxy.context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        secured.do_handshake()
    return hello.read()


def test_visitors_who_leave_early_leave_nothing_open(offload):
    reset = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST
    with far_away(offload) as haproxy:
        idle, hello = haproxy.waits(), hello_of(haproxy)
        for _ in range(3):
            visitors = [socket.create_connection(("127.0.0.1", haproxy.port)) for _ in range(100)]
            for visitor in visitors:
                visitor.sendall(hello)
            wait_until(lambda: haproxy.waits() > idle + 20, "handshakes wait")
            for visitor in visitors:
                visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                visitor.close()
            haproxy.serves(20)
        wait_until(lambda: haproxy.get() and haproxy.waits() == idle, "nothing is left of them")
