"""stunnel as Debian builds it, with a key of the cluster: samples/tls-offload as it stands."""
import contextlib
import os
import signal

import pytest

from fixture import process
from fixture.program import not_sanitized, running, wait_until
from fixture.tls_server import KINDS, NO_NODE_S, VERSIONS, TlsServer
from fixture.web import web

pytestmark = not_sanitized


class Stunnel(TlsServer):
    """One process with threads."""
    name = "stunnel"
    n_workers = 1

    def __init__(self, provider, kind="ec"):
        super().__init__(provider)
        self.kind, self.log = kind, provider.path("server.log")
        for key in provider.tls.glob("*.key"):  # which it reads again when it is nobody special any more
            key.chmod(0o644)

    @contextlib.contextmanager
    def running(self):
        with web(self.provider.www) as web_port:
            config = self.provider.sample("stunnel.conf", {
                "accept = 443": f"accept = 127.0.0.1:{self.port}", "127.0.0.1:8080": f"127.0.0.1:{web_port}",
                "www-ec": f"www-{self.kind}"})
            with running(self.provider, "stunnel4", config, port=self.port) as master:
                self.master = master.pid
                yield self

    def reload(self):
        """Returns when it has read its configuration anew."""
        said = self.log.stat().st_size
        os.kill(self.master, signal.SIGHUP)
        wait_until(lambda: "Configuration successful" in self.log.read_text()[said:], "the configuration is read")


@pytest.mark.parametrize("kind", KINDS)
def test_a_service_is_served_in_each_version(offload, kind):
    with Stunnel(offload, kind).running() as stunnel:
        for version in VERSIONS:
            assert f"Peer signature type: {KINDS[kind][0]}" in stunnel.looks(version)
        assert set(stunnel.serves(50)) == {"served\n"}


def test_no_visitor_sees_the_loss_of_a_node(offload):
    with Stunnel(offload).running() as stunnel:
        stunnel.survives_loss_of_a_node()


def test_nothing_is_left_open_by_reloads(offload):
    """Visitors are turned away meanwhile by stunnel itself, which opens its port anew."""
    with Stunnel(offload).running() as stunnel:
        stunnel.serves(20)
        before = len(process.descriptors(stunnel.master))
        for _ in range(20):
            stunnel.reload()
        stunnel.serves(20)
        wait_until(lambda: len(process.descriptors(stunnel.master)) <= before, "nothing is left open")


def test_without_a_node_it_fails_fast_says_why_and_recovers(offload):
    with offload.impatient(), Stunnel(offload).running() as stunnel, stunnel.without_nodes():
        assert stunnel.turns_away_in() < NO_NODE_S
