"""As many nodes as a cluster may have. They share two cores here, so the time that a signature takes is simulated: every
node has one worker, and its library of cryptography waits before each ECDSA signature, as if for a card (slow_sign.c)."""
import json
import os
import re
import subprocess
import urllib.request

from fixture.cluster import Cluster

from .table import table

TITLE = "28 nodes"
NODES = 28
SERVICE_MS = 5
THREADS_A_NODE = 6
BALANCES = ("round-robin", "least-outstanding")


def signatures(node):
    """How many the node has made so far."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{node.ready['metrics_port']}/metrics", timeout=10).read().decode()
    found = re.search(r'^hsmd_operations_total\{operation="sign"\} (\d+)', text, re.M | re.I)
    return int(found[1]) if found else 0


def load(cluster, threads, seconds, **settings):
    """What `hsm bench` says, and the signatures of each node meanwhile."""
    config = cluster.write_client_config(cluster.folder / "load.yaml", **settings)
    before = [signatures(node) for node in cluster.nodes]
    done = subprocess.run([cluster.hsm, "--config", config, "--user", cluster.USER, "--password-file", cluster.passwords[cluster.USER], "--output",
                           "json", "bench", "p256-sign", "--threads", str(threads), "--seconds", str(seconds)], capture_output=True, check=True)
    return json.loads(done.stdout.splitlines()[-1]), [signatures(node) - n for node, n in zip(cluster.nodes, before)]


def row(name, result, counts, one):
    mean = sum(counts) / len(counts)
    return [name, f"{result['ops_per_s']:,.0f}", f"{result['ops_per_s'] / one['ops_per_s']:.1f}", f"{min(counts) / mean:.2f}", f"{max(counts) / mean:.2f}",
            f"{result['p50_us'] / 1000:.1f}", f"{result['p99_us'] / 1000:.1f}", result["failures"]]


def make_slow(node, milliseconds):
    node.environment["BENCH_SIGN_MS"] = str(milliseconds)


def measure(arguments, folder):
    shim = arguments.build / "tests/bench/libbench_slow_sign.so"
    rows = []
    cluster = Cluster(NODES, folder=folder / "cluster", build=arguments.build, settings={"workers": 1})
    cluster.node_environment = {"LD_PRELOAD": str(shim)}
    for node in cluster.nodes:
        make_slow(node, SERVICE_MS)
    with cluster:
        one, _ = load(cluster, THREADS_A_NODE, arguments.seconds, nodes=[cluster.nodes[0].urls[0]], **{"refresh-interval-ms": 0})
        rows.append(["1 node", f"{one['ops_per_s']:,.0f}", "1.0", "", "", f"{one['p50_us'] / 1000:.1f}", f"{one['p99_us'] / 1000:.1f}", one["failures"]])
        for balance in BALANCES:
            rows.append(row(f"{NODES} nodes, `balance: {balance}`", *load(cluster, THREADS_A_NODE * NODES, arguments.seconds, balance=balance), one))
        slow = cluster.nodes[-1]
        slow.stop()
        make_slow(slow, 4 * SERVICE_MS)
        slow.start()
        slow.wait_ready(listening=True)
        for balance in BALANCES:
            rows.append(row(f"one of them four times slower, `balance: {balance}`",
                            *load(cluster, THREADS_A_NODE * NODES, arguments.seconds, balance=balance), one))
    return (f"P-256 signatures by {THREADS_A_NODE} threads a node; every node has one worker, and waits {SERVICE_MS} ms before each signature, as if for a "
            "card: what is measured is how the load spreads, not cryptography. Shares are of the signatures that a node would have had if all had the same.\n\n" +
            table(["nodes", "signatures a second", "times one node", "least share", "largest share", "p50, ms", "p99, ms", "failures"], rows))
