"""The provider in the configuration of a whole machine: programs that have nothing to do with it go on as before, those of this
project included; and servers under systemd's usual filter of system calls."""
import re
import shlex
import signal
import subprocess

import pytest

from fixture.cluster import Cluster
from fixture.openssl import BUILD, MODULE, SAMPLES
from fixture.program import free_port, not_sanitized, running
from fixture.visitors import Visitors

PROGRAMS = ["openssl version", "openssl dgst -sha256 /etc/hostname", "openssl rand -hex 8", "openssl list -providers",
            "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256", "curl --version", "ssh -V",
            "/usr/bin/python3 -c 'import ssl; ssl.create_default_context()'", "ssh-keygen -q -t rsa -b 2048 -N pw -f ssh-key",
            f"{BUILD}/cli/hsm --version", f"{BUILD}/node/hsmd --version"]


@pytest.fixture
def machine(tmp_path):
    """The environment of a machine whose every program loads the provider, which is configured with a file that is not there."""
    config = tmp_path / "openssl.cnf"
    config.write_text((SAMPLES / "openssl.cnf").read_text().replace("/etc/hsm", str(tmp_path / "nowhere")))
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(tmp_path), "LANG": "C.UTF-8", "OPENSSL_CONF": str(config),
            "OPENSSL_MODULES": str(MODULE.parent)}


def run(environment, command):
    return subprocess.run(shlex.split(command), env=environment, cwd=environment["HOME"], capture_output=True, text=True, timeout=60)


@not_sanitized
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.rpartition("/")[2][:20])
def test_programs_that_use_no_key_of_the_cluster_notice_nothing(machine, program):
    done = run(machine, program)
    assert done.returncode == 0, done.stderr
    assert "hsm" not in done.stderr


@not_sanitized
def test_it_is_loaded_by_each_of_them(machine):
    assert "libhsm: keys held by a cluster of HSM nodes" in run(machine, "openssl list -providers").stdout


@not_sanitized
def test_nodes_and_the_command_work_where_everything_loads_it(machine, monkeypatch):
    """Their TLS is libhsm's, whose OpenSSL does not come back to the provider."""
    for name in ("OPENSSL_CONF", "OPENSSL_MODULES"):
        monkeypatch.setenv(name, machine[name])
    with Cluster(2) as cluster:
        cluster.run("key", "generate", "ec-p256", "--label", "web", user=cluster.USER)
        assert "web" in cluster.run("key", "list", user=cluster.USER).stdout.decode()
        for node in cluster.nodes:
            assert str(MODULE) in open(f"/proc/{node.process.pid}/maps").read()


# --- systemd's filter ---

# What systemd does for `SystemCallFilter=@system-service`: whatever else is called ends the process.
CAGE = """
import ctypes, os, sys
seccomp = ctypes.CDLL("libseccomp.so.2")
seccomp.seccomp_init.restype = ctypes.c_void_p
KILL_PROCESS, ALLOW = 0x80000000, 0x7fff0000
filter = ctypes.c_void_p(seccomp.seccomp_init(KILL_PROCESS))
for name in sys.argv[1].split(","):
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    if number >= 0:
        assert seccomp.seccomp_rule_add(filter, ALLOW, number, 0) == 0, name
assert seccomp.seccomp_load(filter) == 0
os.execvp(sys.argv[2], sys.argv[2:])
"""


def calls_of(group):
    """Names of the system calls of a group of systemd's, and of the groups in it."""
    names = set()
    listed = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True).stdout
    for word in re.findall(r"^ +([@\w-]+)$", listed, re.M):
        names |= calls_of(word) if word.startswith("@") else {word}
    return names


@pytest.fixture(scope="module")
def cage():
    """What stands before a command so that it runs under the filter."""
    names = calls_of("@system-service")
    assert {"read", "futex", "setuid"} < names and "mount" not in names
    return "/usr/bin/python3", "-c", CAGE, ",".join(sorted(names))


@not_sanitized
def test_the_filter_ends_who_calls_what_is_not_in_it(offload, cage):
    assert offload.run(*cage, "true", status=0) == ""
    offload.run(*cage, "chroot", offload.folder, "true", status=-signal.SIGSYS)


@not_sanitized
@pytest.mark.parametrize("options", [(), ("-async",)], ids=["sleeping", "in jobs"])
def test_a_server_works_under_the_filter(offload, cage, options):
    visitors = Visitors(free_port(), offload.ca)
    command = ("openssl", "s_server", *options, "-quiet", "-accept", f"127.0.0.1:{visitors.port}", "-cert",
               offload.tls / "www-ec.crt", "-key", offload.tls / "www-ec.key", "-dcert", offload.tls / "www-rsa.crt", "-dkey",
               offload.tls / "www-rsa.key")
    with running(offload, *cage, *command, port=visitors.port):
        for algorithm in ("ecdsa_secp256r1_sha256", "rsa_pss_rsae_sha256"):
            assert "Verify return code: 0 (ok)" in visitors.looks("-tls1_3", "-sigalgs", algorithm)
        offload.cluster.nodes[0].kill()
        visitors.looks()
        offload.cluster.nodes[0].start()
        visitors.looks()


@not_sanitized
def test_keys_are_made_and_used_under_the_filter(offload, cage):
    offload.run(*cage, "openssl", "genpkey", "-propquery", "provider=hsm", "-algorithm", "EC", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-out", "caged.pem")
    offload.run(*cage, "openssl", "req", "-x509", "-new", "-key", "caged.pem", "-subj", "/CN=caged", "-out", "caged.crt")
    assert "caged.crt: OK" in offload.run("openssl", "verify", "-CAfile", "caged.crt", "caged.crt")
