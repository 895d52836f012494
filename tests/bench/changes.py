"""Measures how long changes take on SQLite and on etcd, and until all nodes know of them; writes docs/benchmark-cluster.md.

A change is the creation of an AES-256 token key. "Usable everywhere" is measured with clients that do not tell the nodes what
they have seen: each asks its own node for the new key by label until it is found.
"""
import argparse
import datetime
import os
import platform
import shutil
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def client(hsm, cluster, node=None):
    path = cluster.config
    if node:
        path = cluster.write_client_config(cluster.folder / f"{node.name}.yaml", nodes=[node.urls[0]],
                                           **{"refresh-interval-ms": 0})
    session = hsm.Cluster(hsm.Config(path)).session()
    session.login(cluster.USER, cluster.password(cluster.USER))
    return session


def create(hsm, session, label):
    return session.key_generate(hsm.MECHANISM_AES_KEY_GEN, {"LABEL": label, "TOKEN": True, "VALUE_LEN": 32})


def alone(hsm, cluster, n):
    """Milliseconds of each of n creations, one after the other."""
    session, times = client(hsm, cluster), []
    for i in range(n):
        begin = time.perf_counter()
        create(hsm, session, f"alone-{i}")
        times.append(1000 * (time.perf_counter() - begin))
    return times


def together(hsm, cluster, n_threads, seconds):
    """Creations a second by many threads."""
    counts, end = [0] * n_threads, time.monotonic() + seconds

    def work(thread):
        session = client(hsm, cluster)
        while time.monotonic() < end:
            create(hsm, session, f"together-{thread}-{counts[thread]}")
            counts[thread] += 1

    threads = [threading.Thread(target=work, args=(i,)) for i in range(n_threads)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - begin)


def until_everywhere(hsm, cluster, n):
    """Milliseconds from the acknowledgement until the last of the other nodes finds the key."""
    maker, *others = [client(hsm, cluster, node) for node in cluster.nodes]
    times = []
    for i in range(n):
        create(hsm, maker, f"everywhere-{i}")
        begin = time.perf_counter()
        for other in others:
            while not list(other.find({"LABEL": f"everywhere-{i}"})):
                pass
        times.append(1000 * (time.perf_counter() - begin))
    return times


def measure(hsm, cluster, n, seconds):
    made, known = alone(hsm, cluster, n), until_everywhere(hsm, cluster, n)
    return {"p50": statistics.median(made), "p99": percentile(made, 0.99), "rate": together(hsm, cluster, 16, seconds),
            "everywhere_p50": statistics.median(known), "everywhere_p99": percentile(known, 0.99)}


def page(results, n):
    lines = ["# Benchmark: changes", "",
             f"Measured by `./dev bench-changes` on {datetime.date.today()}: {os.cpu_count()} cores of one machine (Linux "
             f"{platform.release()}) for three nodes, three members of etcd and the client; {n} creations of a token key a figure. "
             "Every creation is on disk, on etcd on the disks of two members, before it is acknowledged.", "",
             "| store | creation p50, ms | p99, ms | creations a second, 16 threads | usable on every node p50, ms | p99, ms |",
             "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for name, result in results.items():
        lines.append(f"| {name} | {result['p50']:.2f} | {result['p99']:.2f} | {result['rate']:,.0f} | "
                     f"{result['everywhere_p50']:.2f} | {result['everywhere_p99']:.2f} |")
    reached = all(result["everywhere_p99"] < 100 for result in results.values())
    lines += ["", f"Goal: usable on every node within 100 ms (p99): {'reached' if reached else '**not reached**'}. \"Usable on every "
              "node\" counts from the acknowledgement and includes the round trips of asking; a client that takes part in the "
              "creation, or was told of its revision, never waits: the node does."]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--number", type=int, default=500, help="creations a figure")
    parser.add_argument("--seconds", type=float, default=5, help="of creations by 16 threads")
    arguments = parser.parse_args()
    os.environ["HSM_LIBRARY"] = str(arguments.build / "libhsm/libhsm.so")
    sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests")]
    import hsm
    from fixture.cluster import Cluster
    from fixture.etcd import Etcd

    folder, results = Path(tempfile.mkdtemp(prefix="hsm-changes-")), {}
    try:
        with Cluster(3, folder=folder / "sqlite", build=arguments.build) as cluster:
            results["SQLite"] = measure(hsm, cluster, arguments.number, arguments.seconds)
        with Etcd(folder / "etcd") as etcd, Cluster(3, folder=folder / "on-etcd", build=arguments.build,
                                                    settings=etcd.settings) as cluster:
            results["etcd, three members"] = measure(hsm, cluster, arguments.number, arguments.seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = page(results, arguments.number)
    (ROOT / "docs/benchmark-cluster.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
