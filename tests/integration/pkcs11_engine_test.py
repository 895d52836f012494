"""Web servers that serve TLS with a key of the token through the engine of libp11. (With that of Debian 13 nginx finds no key and Apache
crashes, whatever the token: pkcs11_provider_test.py has its way.)"""
import pytest

from fixture.cluster import Cluster
from fixture.pkcs11 import ENGINE, Site, Token, certify_by_engine
from fixture.pkcs11_servers import apache_serves, nginx_serves
from fixture.program import not_sanitized

pytestmark = not_sanitized


@pytest.fixture
def two_nodes():
    with Cluster(2) as made, Token(made) as token:
        token.environment |= ENGINE
        yield token


def make_site(token):
    token.make_key("site")
    return Site(certify_by_engine(token, "site"))


def test_nginx_serves_with_several_workers_through_reload_and_loss_of_a_node(two_nodes):
    nginx_serves(two_nodes, make_site(two_nodes), f"engine:pkcs11:{two_nodes.uri('site', 'private', pin=True)}", "ssl_engine pkcs11;")


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_apache_serves_with_several_processes_through_reload_and_loss_of_a_node(two_nodes, mpm):
    apache_serves(two_nodes, make_site(two_nodes), two_nodes.uri("site", "private", pin=True), mpm, "SSLCryptoDevice pkcs11")
