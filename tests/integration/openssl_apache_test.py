"""Apache as Debian builds it, with keys of the cluster: samples/tls-offload as it stands."""
import contextlib

import pytest

from fixture.program import daemon, not_sanitized, wait_until
from fixture.tls_server import NO_NODE_S, TlsServer

pytestmark = not_sanitized

# What Debian's /etc/apache2 says, but for paths.
MAIN = """
ServerRoot {folder}
ServerName localhost
PidFile {folder}/apache.pid
ErrorLog {folder}/apache.log
User www-data
Group www-data
Listen 127.0.0.1:{port}
LoadModule mpm_{mpm}_module {modules}/mod_mpm_{mpm}.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule socache_shmcb_module {modules}/mod_socache_shmcb.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule ssl_module {modules}/mod_ssl.so
StartServers 2
SSLSessionCache shmcb:${{APACHE_RUN_DIR}}/ssl_scache(512000)
SSLSessionCacheTimeout 300
Include {site}
"""


class Apache(TlsServer):
    name = "apache"
    n_workers = 2

    def __init__(self, provider, mpm):
        super().__init__(provider)
        self.mpm = mpm

    @contextlib.contextmanager
    def running(self):
        site = self.provider.sample("apache.conf", {"*:443": f"*:{self.port}", "/var/www/html": self.provider.www})
        config = self.provider.write("main.conf", MAIN.format(
            folder=self.provider.folder, site=site, port=self.port, mpm=self.mpm, modules="/usr/lib/apache2/modules"))
        self.command = "apache2", "-f", config
        self.provider.environment["APACHE_RUN_DIR"] = str(self.provider.folder)
        with daemon(self.provider, *self.command, port=self.port, pid_file=self.pid_file, log_file=self.log) as self.master:
            yield self

    def reload(self):
        """Returns when no old worker is left."""
        before = set(self.workers())
        self.provider.run(*self.command, "-k", "graceful")
        wait_until(lambda: self.workers() and not before & set(self.workers()), "new workers")


@pytest.fixture(params=["event", "prefork"])
def apache(offload, request):
    with Apache(offload, request.param).running() as server:
        yield server


def test_both_certificates_are_served_and_sessions_resumed(apache):
    apache.shows_each_certificate_in_each_version()
    apache.resumes_sessions()
    apache.only_workers_connect()
    apache.workers_have_no_rights("www-data")


def test_answers_of_a_responder_are_stapled(offload, apache):
    with offload.responding():
        apache.staples()


def test_no_visitor_sees_the_loss_of_a_node(apache):
    apache.survives_loss_of_a_node()


def test_without_a_node_it_fails_fast_says_why_and_recovers(offload):
    with offload.impatient(), Apache(offload, "event").running() as apache, apache.without_nodes():
        assert apache.turns_away_in() < NO_NODE_S


def test_no_visitor_sees_a_reload_and_nothing_is_leaked(apache):
    apache.reloads()
    assert "exit signal" not in apache.log.read_text()
