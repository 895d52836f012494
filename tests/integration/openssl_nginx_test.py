"""nginx as Debian builds it, with keys of the cluster: samples/tls-offload as it stands."""
import contextlib
import os
import re
import signal

import pytest

from fixture.program import daemon, not_sanitized, wait_until
from fixture.tls_server import AT_ONCE_S, NO_NODE_S, TlsServer

pytestmark = not_sanitized

# What Debian's /etc/nginx/nginx.conf says, but for paths.
MAIN = """
user www-data;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log info;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {site};
}}
"""


class Nginx(TlsServer):
    name = "nginx"
    n_workers = 2

    @contextlib.contextmanager
    def running(self):
        site = self.provider.sample("nginx.conf", {"listen 443": f"listen 127.0.0.1:{self.port}",
                                                   "/var/www/html": self.provider.www})
        config = self.provider.write("main.conf", MAIN.format(folder=self.provider.folder, site=site))
        self.command = "nginx", "-c", config, "-e", self.log
        with daemon(self.provider, *self.command, port=self.port, pid_file=self.pid_file, log_file=self.log) as self.master:
            yield self

    def reload(self):
        """Returns when new workers have taken over and no old one is left."""
        before = set(self.workers())
        os.kill(self.master, signal.SIGHUP)
        wait_until(lambda: len(set(self.workers()) - before) == len(self.workers()) == self.n_workers, "new workers")


@pytest.fixture
def nginx(offload):
    with Nginx(offload).running() as server:
        yield server


def test_both_certificates_are_served_and_sessions_resumed(nginx):
    nginx.shows_each_certificate_in_each_version()
    nginx.resumes_sessions()
    nginx.only_workers_connect()
    nginx.workers_have_no_rights("www-data")


def test_answers_of_a_responder_are_stapled(offload, nginx):
    with offload.responding():
        nginx.staples()


def test_no_visitor_sees_the_loss_of_a_node(nginx):
    nginx.survives_loss_of_a_node()


def test_without_a_node_it_fails_fast_says_why_and_recovers(nginx):
    with nginx.without_nodes():
        assert nginx.turns_away_in() < NO_NODE_S
        wait_until(lambda: nginx.turns_away_in() < AT_ONCE_S, "both workers know that nobody answers")
        assert re.search(r"hsm::no node answered in time:.* \(node .*\)", nginx.log.read_text())


def test_no_visitor_sees_a_reload_and_nothing_is_leaked(nginx):
    nginx.reloads()
    assert "[alert]" not in nginx.log.read_text()
