"""docs/tls-offload.md, followed from its beginning to its end."""
import shutil
import ssl
from pathlib import Path

import pytest

import fixture.machine
from fixture.cluster import Cluster
from fixture.machine import Machine, sections
from fixture.program import free_port, not_sanitized, wait_for_port, wait_until
from fixture.visitors import Visitors
from fixture.web import web

pytestmark = not_sanitized

NGINX = """
user www-data;
pid {root}/nginx.pid;
error_log {root}/nginx-error.log;
daemon off;
events {{}}
http {{
    access_log off;
    client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
    include {root}/etc/nginx/conf.d/*.conf;
}}
"""

APACHE = """
ServerRoot {root}
ServerName localhost
PidFile {root}/apache.pid
ErrorLog {root}/apache-error.log
User www-data
Group www-data
Listen 127.0.0.1:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule dir_module {modules}/mod_dir.so
IncludeOptional {root}/etc/apache2/mods-enabled/*.load
IncludeOptional {root}/etc/apache2/sites-enabled/*.conf
"""
MODULES = "/usr/lib/apache2/modules"


@pytest.fixture(scope="module")
def machine():
    with Cluster(2) as cluster, Machine(cluster) as made:
        made.prepare()
        yield made


def shown(machine, port):
    """The certificate that a visitor is shown, PEM."""
    return ssl.get_server_certificate(("127.0.0.1", port), ca_certs=machine.ca)


@pytest.fixture
def nginx(machine):
    """The page's nginx, and its visitors."""
    port = free_port()
    folder = machine.path("etc/nginx/conf.d")
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / "nginx.conf").write_text(NGINX.format(root=machine.folder))
    machine.provide_sample("nginx.conf", {"listen 443": f"listen 127.0.0.1:{port}", "/var/www/html": machine.www})
    with machine.unit("nginx", f"nginx -c {folder.parent}/nginx.conf -e {machine.folder}/nginx-error.log"):
        machine.follow("nginx")
        wait_for_port(port)
        yield Visitors(port, machine.ca)


def test_nginx(nginx):
    assert nginx.get() == "served\n"


def test_apache(machine):
    port = free_port()
    folder = machine.path("etc/apache2")
    for name in ("sites-available", "sites-enabled", "mods-enabled"):
        (folder / name).mkdir(parents=True)
    (folder / "apache2.conf").write_text(APACHE.format(root=machine.folder, port=port, modules=MODULES))
    machine.shim("a2ensite", '#!/bin/sh\nln -s ../sites-available/$1.conf $ROOT/etc/apache2/sites-enabled/\n')
    machine.shim("a2enmod", "#!/bin/sh\nfor name; do echo LoadModule ${name}_module " + MODULES + "/mod_$name.so"
                            " >$ROOT/etc/apache2/mods-enabled/$name.load; done\n")
    machine.provide_sample("apache.conf", {"*:443": f"*:{port}", "/var/www/html": machine.www, "${APACHE_RUN_DIR}": machine.folder})
    with machine.unit("apache2", f"apache2 -D FOREGROUND -f {folder}/apache2.conf"):
        machine.follow("Apache")
        wait_for_port(port)
        assert Visitors(port, machine.ca).get() == "served\n"


def test_haproxy(machine):
    port = free_port()
    root = machine.path("chroot")
    root.mkdir()
    machine.path("etc/haproxy").mkdir(parents=True)
    with web(machine.www) as web_port, machine.unit("haproxy", f"haproxy -Ws -f {machine.folder}/etc/haproxy/haproxy.cfg",
                                                    "kill -USR2 $(cat $ROOT/pid)"):
        machine.provide_sample("haproxy.cfg", {
            "bind :443": f"bind 127.0.0.1:{port}", "127.0.0.1:8080": f"127.0.0.1:{web_port}", "/var/lib/haproxy": root,
            "/run/haproxy": machine.folder})
        machine.follow("HAProxy", 0)
        wait_for_port(port)
        visitors = Visitors(port, machine.ca)
        assert visitors.get() == "served\n"
        wait_until(lambda: "Loading success" in machine.log.read_text(), "the master is ready")
        with machine.responding():
            machine.follow("HAProxy", 1)
        wait_until(lambda: "Cert Status: good" in visitors.looks("-status"), "the answer is stapled")


def test_stunnel(machine):
    port = free_port()
    machine.path("etc/stunnel").mkdir(parents=True)
    with web(machine.www) as web_port, machine.unit("stunnel", f"stunnel4 {machine.folder}/etc/stunnel/tls.conf"):
        machine.provide_sample("stunnel.conf", {"accept = 443": f"accept = 127.0.0.1:{port}",
                                                "127.0.0.1:8080": f"127.0.0.1:{web_port}"})
        machine.follow("stunnel, PostgreSQL", 0)
        wait_for_port(port)
        assert Visitors(port, machine.ca).get() == "served\n"


def test_postgresql(machine):
    port = free_port()
    tools = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    folder, data = machine.path("etc/postgresql/15/main"), machine.path("data")
    (folder / "conf.d").mkdir(parents=True)
    data.mkdir()
    shutil.chown(data, "postgres")
    account = "setpriv --reuid=postgres --regid=postgres --clear-groups"
    machine.command(f"{account} {tools}/initdb -D {data} --auth=trust --no-sync --no-instructions")
    with (data / "postgresql.conf").open("a") as settings:
        settings.write(f"listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nfsync = off\n"
                       f"include_dir '{folder}/conf.d'\n")
    # pg_ctlcluster gives the server what stands in `environment`.
    start = f"env $(sed \"s/ = /=/; s/'//g\" {folder}/environment) {account} {tools}/postgres -D {data}"
    machine.provide_sample("postgresql.conf")
    with machine.unit("postgresql", start):
        machine.follow("stunnel, PostgreSQL", 1)
        wait_for_port(port)
        said = machine.run("openssl", "s_client", "-starttls", "postgres", "-connect", f"127.0.0.1:{port}", "-CAfile", machine.ca,
                           "-verify_return_error", data=b"")
        assert "Verify return code: 0 (ok)" in said


def test_clients(machine):
    machine.follow("Clients")
    machine.ca_answers("client")
    assert f"{machine.tls}/client.crt: OK" in machine.run("openssl", "verify", "-CAfile", machine.ca, machine.tls / "client.crt")


def test_renewing_a_certificate_and_changing_the_key(machine, nginx):
    first = shown(machine, nginx.port)
    machine.follow("Renewing a certificate")
    machine.ca_answers("www-ec")
    machine.command("systemctl reload nginx")
    wait_until(lambda: shown(machine, nginx.port) != first, "the new certificate is shown")
    renewed = shown(machine, nginx.port)
    assert public_key(machine, renewed) == public_key(machine, first)

    machine.follow("Changing the key", 0)
    machine.ca_answers("www-ec", suffix=".new")
    with nginx.coming():
        machine.follow("Changing the key", 1)
        wait_until(lambda: shown(machine, nginx.port) != renewed, "the new certificate is shown")
    assert public_key(machine, shown(machine, nginx.port)) != public_key(machine, first)
    machine.command("hsm key delete www-ec --yes")
    assert nginx.get() == "served\n"


def public_key(machine, certificate):
    return machine.run("openssl", "x509", "-pubkey", "-noout", data=certificate.encode())


def test_every_section_with_commands_is_followed():
    followed = Path(__file__).read_text() + Path(fixture.machine.__file__).read_text()
    for heading, blocks in sections().items():
        assert f'"{heading}"' in followed or not any(language == "sh" for language, _ in blocks), heading
