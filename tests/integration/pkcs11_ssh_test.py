"""OpenSSH with the module: keys for logins that never leave the cluster."""
import getpass
import os
import re
from pathlib import Path

import pytest

from fixture.pkcs11 import MODULE
from fixture.program import free_port, running, wait_until


@pytest.fixture
def ask(token):
    """A program that answers OpenSSH's question for the PIN."""
    path = token.write("ask", f"#!/bin/sh\nexec cat {token.pin_file}\n")
    path.chmod(0o700)
    return {"SSH_ASKPASS": str(path), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": "none"}


@pytest.fixture
def agent(token):
    """An agent that may load the module from where it was built."""
    with running(token, "ssh-agent", "-D", "-a", token.path("agent"), "-P", MODULE.resolve()):
        wait_until(token.path("agent").exists, "the agent listens")
        yield {"SSH_AUTH_SOCK": str(token.path("agent"))}


@pytest.fixture
def server(token):
    """A server of this user's own, on a free port, that lets in the keys of the file `allowed`."""
    port = free_port()
    for kind in ("host", "none"):
        token.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", kind)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where root's server shuts in its unprivileged part
    config = token.write("sshd_config", f"""Port {port}
ListenAddress 127.0.0.1
HostKey {token.path("host")}
AuthorizedKeysFile {token.path("allowed")}
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
""")
    with running(token, "/usr/sbin/sshd", "-D", "-e", "-f", config, port=port):
        yield port


def public_keys(token, **variables):
    told = token.run("ssh-keygen", "-D", MODULE, **variables)
    return re.findall(r"^(?:ssh-|ecdsa-)\S+ \S+.*$", told, re.M)


def log_in(token, port, *options, **variables):
    return token.run("ssh", "-F", "none", "-p", port, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                     "-o", "PreferredAuthentications=publickey", *options, f"{getpass.getuser()}@127.0.0.1", "echo", "I am in",
                     **variables)


def test_public_keys_are_listed_for_the_server(token, ask):
    token.make_key("ec", "EC:prime256v1", "01")
    token.make_key("rsa", "rsa:2048", "02")
    assert sorted(line.split()[0] for line in public_keys(token, **ask)) == ["ecdsa-sha2-nistp256", "ssh-rsa"]


def test_public_keys_are_listed_without_a_pin_when_it_is_configured(token):
    token.make_key("ec")
    token.configure_login()
    assert len(public_keys(token)) == 1


@pytest.mark.parametrize("kind", ["EC:prime256v1", "EC:secp521r1", "rsa:3072"])
def test_one_logs_in_with_a_key_of_the_token(token, ask, server, kind):
    token.make_key("login", kind)
    token.write("allowed", public_keys(token, **ask)[0] + "\n")
    assert "I am in" in log_in(token, server, "-I", MODULE, **ask)


def test_one_logs_in_through_the_agent(token, ask, agent, server):
    token.make_key("login")
    token.write("allowed", public_keys(token, **ask)[0] + "\n")
    token.run("ssh-add", "-s", MODULE, **agent, **ask)
    assert "ecdsa" in token.run("ssh-add", "-L", **agent).lower()
    for _ in range(3):
        assert "I am in" in log_in(token, server, **agent)
    token.run("ssh-add", "-e", MODULE, **agent)
    assert "no identities" in token.run("ssh-add", "-L", status=1, **agent)


def test_a_certificate_authority_for_logins_is_in_the_token(token, ask):
    token.make_key("ca")
    token.write("ca.pub", public_keys(token, **ask)[0] + "\n")
    token.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "user")
    token.run("ssh-keygen", "-s", "ca.pub", "-D", MODULE, "-I", "someone", "-n", "root", "-V", "+1h", "user.pub", **ask)
    told = token.run("ssh-keygen", "-L", "-f", "user-cert.pub")
    assert "Signing CA: ECDSA" in told and "someone" in told
