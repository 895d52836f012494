"""Web servers that serve TLS with a key of the token through the engine of libp11. (With that of Debian 13 nginx finds no key and Apache
crashes, whatever the token: pkcs11_provider_test.py has its way.)"""
import os
import signal

import pytest

from fixture.cluster import Cluster
from fixture.pkcs11 import ENGINE, SERVER_ACCOUNT, Site, Token, certify_by_engine
from fixture.program import daemon, not_sanitized

NGINX = """
user {account};
worker_processes 3;
pid {pid_file};
error_log {log} info;
ssl_engine pkcs11;
{environment}
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key "engine:pkcs11:{uri}";
        ssl_session_cache off; ssl_session_tickets off; keepalive_timeout 0;
        location / {{ return 200 "pid $pid\\n"; }}
    }}
}}
"""

APACHE = """
ServerRoot {folder}
ServerName localhost
PidFile {pid_file}
ErrorLog {log}
User {account}
Group {account}
Listen 127.0.0.1:{port}
LoadModule mpm_{mpm}_module {modules}/mod_mpm_{mpm}.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule socache_shmcb_module {modules}/mod_socache_shmcb.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule ssl_module {modules}/mod_ssl.so
StartServers 3
DocumentRoot {folder}/www
SSLCryptoDevice pkcs11
SSLSessionCache none
SSLSessionTickets off
KeepAlive off
<VirtualHost *:{port}>
    SSLEngine on
    SSLCertificateFile {certificate}
    SSLCertificateKeyFile "{uri}"
</VirtualHost>
"""


@pytest.fixture
def two_nodes():
    with Cluster(2) as made, Token(made) as token:
        yield token


def make_site(token):
    token.make_key("site")
    return Site(certify_by_engine(token, "site"))


def nginx(token, site):
    names = [name for name in token.environment if name != "HOME"] + list(ENGINE)
    config = token.write("nginx.conf", NGINX.format(
        account=SERVER_ACCOUNT, pid_file=token.path("nginx.pid"), log=token.path("nginx.log"), folder=token.folder, port=site.port,
        certificate=site.certificate, uri=token.uri("site", "private", pin=True),
        environment="\n".join(f"env {name};" for name in names)))
    return ["nginx", "-c", config, "-e", token.path("nginx.log")]


def apache(token, site, mpm):
    token.path("www").mkdir()
    token.path("www").joinpath("index.html").write_text("served\n")
    config = token.write("apache.conf", APACHE.format(
        account=SERVER_ACCOUNT, mpm=mpm, modules="/usr/lib/apache2/modules", pid_file=token.path("apache.pid"),
        log=token.path("apache.log"), folder=token.folder, port=site.port, certificate=site.certificate,
        uri=token.uri("site", "private", pin=True)))
    return ["apache2", "-f", config]


def serving(token, command, port, name):
    token.give_to(SERVER_ACCOUNT)
    return daemon(token, *command, port=port, pid_file=token.path(f"{name}.pid"), log_file=token.path(f"{name}.log"))


@not_sanitized
def test_nginx_serves_with_several_workers_through_reload_and_loss_of_a_node(two_nodes):
    token = two_nodes
    token.environment |= ENGINE
    site = make_site(token)
    with serving(token, nginx(token, site), site.port, "nginx") as master:
        assert len(set(site.serves(100))) > 1  # workers
        site.serves_while(lambda: os.kill(master, signal.SIGHUP))
        site.serves_while(token.cluster.nodes[0].stop)
        site.serves_while(lambda: os.kill(master, signal.SIGHUP))
    assert "[alert]" not in token.path("nginx.log").read_text()


@not_sanitized
@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_apache_serves_with_several_processes_through_reload_and_loss_of_a_node(two_nodes, mpm):
    token = two_nodes
    token.environment |= ENGINE
    site = make_site(token)
    command = apache(token, site, mpm)
    with serving(token, command, site.port, "apache"):
        assert set(site.serves(100)) == {"served\n"}
        site.serves_while(lambda: token.run(*command, "-k", "graceful"))
        site.serves_while(token.cluster.nodes[0].stop)
        site.serves_while(lambda: token.run(*command, "-k", "graceful"))
    assert "exit signal" not in token.path("apache.log").read_text()
