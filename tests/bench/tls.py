"""Full TLS handshakes a second of an unmodified nginx, its key in a file and its key in the cluster, one after the other on
the same cores; writes docs/benchmark-tls.md. Client, nginx and node share the machine: read the ratios."""
import argparse
import datetime
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from fixture.cluster import Cluster  # noqa: E402
from fixture.program import free_port, wait_for_port  # noqa: E402

KINDS = {"rsa2048": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
         "p256": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")}
GOALS = {"rsa2048": 0.8, "p256": 0.6}
CONNECTIONS = [1, 64]
WORKERS = 2

OPENSSL_CNF = """
openssl_conf = openssl_init
[openssl_init]
providers = provider_section
[provider_section]
default = default_section
{hsm}
[default_section]
activate = 1
[hsm_section]
module = {module}
config = {config}
activate = 1
[req]
distinguished_name = name
[name]
"""

NGINX_CONF = """
daemon off;
worker_processes {workers};
worker_cpu_affinity auto;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port} ssl reuseport backlog=8192;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache off;
        ssl_session_tickets off;
    }}
}}
"""


class Bench:
    def __init__(self, build, cluster, folder):
        self.build, self.folder, self.cluster = build, folder, cluster
        config = cluster.write_client_config(folder / "hsm.yaml", user=cluster.USER,
                                             **{"password-file": str(cluster.passwords[cluster.USER])})
        self.configurations = {}
        for side, line in (("file", ""), ("cluster", "hsm = hsm_section")):
            self.configurations[side] = folder / f"{side}.cnf"
            self.configurations[side].write_text(
                OPENSSL_CNF.format(hsm=line, module=build / "bindings/openssl/hsm.so", config=config))

    def environment(self, side):
        return {**os.environ, "OPENSSL_CONF": str(self.configurations[side])}

    def openssl(self, side, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], env=self.environment(side), check=True, capture_output=True)

    def make_key(self, side, kind):
        key, certificate = self.folder / f"{side}-{kind}.pem", self.folder / f"{side}-{kind}.crt"
        where = ("-propquery", "provider=hsm") if side == "cluster" else ()
        self.openssl(side, "genpkey", *where, *KINDS[kind], "-out", key)
        self.openssl(side, "req", "-x509", "-new", "-key", key, "-subj", "/CN=localhost", "-days", "2", "-out", certificate)
        return key, certificate

    def measure(self, side, kind, version, connections, seconds):
        """Serves with a key of this side, and measures."""
        key, certificate = self.make_key(side, kind)
        port, configuration = free_port(), self.folder / "nginx.conf"
        configuration.write_text(NGINX_CONF.format(folder=self.folder, port=port, key=key, certificate=certificate,
                                                   workers=WORKERS))
        nginx = subprocess.Popen(["nginx", "-c", configuration, "-p", self.folder], env=self.environment(side),
                                 stderr=subprocess.DEVNULL)
        try:
            wait_for_port(port)
            self.handshakes(port, connections, 0.5, version)  # logged in, caches warm
            before, node_before = processor_us(workers_of(nginx.pid)), self.node_us()
            row = self.handshakes(port, connections, seconds, version)
            n = row["ops_per_s"] * seconds
            row["nginx_us"] = (processor_us(workers_of(nginx.pid)) - before) / n
            row["node_us"] = (self.node_us() - node_before) / n if side == "cluster" else None
            return {"kind": kind, "side": side, "version": version, "connections": connections, **row}
        finally:
            nginx.send_signal(signal.SIGTERM)
            nginx.wait()

    def node_us(self):
        return processor_us([node.process.pid for node in self.cluster.nodes])

    def handshakes(self, port, connections, seconds, version):
        done = subprocess.run([self.build / "tests/bench/bench_handshakes", str(port), str(connections), str(seconds), version],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"handshakes failed: {done.stderr}{done.stdout}{(self.folder / 'error.log').read_text()[-2000:]}")
        return json.loads(done.stdout)


def workers_of(master):
    return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def processor_us(pids):
    """Processor time of these processes, from the kernel's accounts in nanoseconds (proc(5), schedstat), in microseconds."""
    total = 0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1000


def page(rows, seconds):
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr.split("/")[-1].strip()
    by = {(row["kind"], row["version"], row["connections"], row["side"]): row for row in rows}
    lines = [
        "# TLS handshakes", "",
        f"Measured by `./dev bench-tls` on {datetime.date.today()}: {os.cpu_count()} cores of {cpu}, Linux {platform.release()}, "
        f"nginx {nginx} with {WORKERS} workers, {seconds:g} s a row. Client, nginx and one node share the cores; every handshake "
        "is a full one, with X25519, and no session is resumed. Key in a file: OpenSSL's own. Key in the cluster: the same "
        "nginx with a reference file, over mutual TLS to the node.", "",
        "## Goals", "", "| goal | reached | wanted | |", "| --- | ---: | --- | --- |"]
    for kind, wanted in GOALS.items():
        ours, file = (by[kind, "TLS1.3", CONNECTIONS[-1], side] for side in ("cluster", "file"))
        ratio, time_ratio = ours["ops_per_s"] / file["ops_per_s"], ours["nginx_us"] / file["nginx_us"]
        lines.append(f"| {kind}: handshakes a second beside the key in a file | {ratio:.2f} | at least {wanted} | "
                     f"{'reached' if ratio >= wanted else '**not reached**'} |")
        lines.append(f"| {kind}: processor time in nginx beside the key in a file | {time_ratio:.2f} | less than 1 | "
                     f"{'reached' if time_ratio < 1 else '**not reached**'} |")
    lines += ["", "## All rows", "",
              "| key | version | connections | where | handshakes/s | of file | p50 ms | p99 ms | nginx cpu us | node cpu us | client cpu us |",
              "| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        file = by[row["kind"], row["version"], row["connections"], "file"]
        node = f"{row['node_us']:.0f}" if row["node_us"] is not None else ""
        lines.append(f"| {row['kind']} | {row['version']} | {row['connections']} | {row['side']} | {row['ops_per_s']:,.0f} | "
                     f"{row['ops_per_s'] / file['ops_per_s']:.2f} | {row['p50_us'] / 1000:.2f} | {row['p99_us'] / 1000:.2f} | "
                     f"{row['nginx_us']:.0f} | {node} | {row['cpu_us_per_op']:.0f} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/benchmark-tls.md")
    arguments = parser.parse_args()
    os.environ["HSM_BUILD"] = str(arguments.build)
    rows = []
    with tempfile.TemporaryDirectory() as folder, Cluster(n_nodes=1, build=arguments.build) as cluster:
        os.chmod(folder, 0o755)
        bench = Bench(arguments.build, cluster, Path(folder))
        for kind in KINDS:
            for version in ("TLS1.3", "TLS1.2"):
                for connections in CONNECTIONS:
                    for side in ("file", "cluster"):
                        rows.append(bench.measure(side, kind, version, connections, arguments.seconds))
                        print(json.dumps(rows[-1]), flush=True)
                        time.sleep(0.2)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    arguments.out.write_text(page(rows, arguments.seconds))


if __name__ == "__main__":
    main()
