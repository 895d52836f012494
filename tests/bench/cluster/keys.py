"""What many keys cost: a node that is filled with AES-256 token keys, each with a label of its own."""
import threading
import time
from pathlib import Path

import hsm
from fixture.cluster import Cluster

from .table import percentile, session_of, table

TITLE = "Many keys"
THREADS = 64
CACHED = 20_000  # the default of the setting object-cache
LOOKED_FOR = 1000
GOAL_START_S, GOAL_KEY_BYTES = 5, 2048


def resident_bytes(process):
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0


def make_keys(session, n):
    def work(first):
        for i in range(first, n, THREADS):
            session.key_generate(hsm.MECHANISM_AES_KEY_GEN, {"value-len": 32, "token": True, "label": f"key {i}"})

    threads = [threading.Thread(target=work, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def timed(call, *arguments):
    begin = time.monotonic()
    call(*arguments)
    return time.monotonic() - begin


def restart(node):
    node.start()
    node.wait_ready(listening=True)


def find_times_ms(session, n):
    return [1000 * timed(session.find_one, f"key {i}") for i in range(0, n, max(1, n // LOOKED_FOR))]


def rotate(cluster):
    """Seconds until all is sealed anew."""
    return timed(lambda: cluster.run("cluster", "rotate-key", user=cluster.ADMIN, timeout=3600))


def fill(build, n, folder):
    """Figures of one node with n keys."""
    with Cluster(1, folder=folder, build=build, settings={"object-cache": CACHED, "rotation-pause-ms": 0}) as cluster:
        node, session = cluster.nodes[0], session_of(cluster)
        figures = {"load_s": timed(make_keys, session, n)}
        node.stop()
        figures["start_s"] = timed(restart, node)
        session.find_one("key 0")
        base = resident_bytes(node.process)
        keys = []
        figures["list_s"] = timed(lambda: keys.extend(session.find()))
        times = find_times_ms(session, n)
        for key in keys[:4 * CACHED]:
            session.object_get(key, ["label"])
        figures |= {"find_ms_p50": percentile(times, 0.5), "find_ms_p99": percentile(times, 0.99), "resident": resident_bytes(node.process),
                    "bytes_per_key": (resident_bytes(node.process) - base) / n, "store_bytes": (cluster.folder / "store.db").stat().st_size}
        figures["bytes_per_cached_key"] = (resident_bytes(node.process) - base) / min(n, CACHED)
        figures["rotate_s"] = rotate(cluster)
        return figures


def measure(arguments, folder):
    n = arguments.keys
    found = fill(arguments.build, n, folder)
    rows = [["making them, each on disk before it is acknowledged", f"{found['load_s']:,.0f} s ({n / found['load_s']:,.0f} a second, {THREADS} threads)"],
            ["the store", f"{found['store_bytes'] / 1e6:,.0f} MB ({found['store_bytes'] / n:,.0f} bytes a key)"],
            ["start of the node", f"{found['start_s']:.2f} s (goal: at most {GOAL_START_S} s)"],
            ["memory of the node, once it has opened more keys than it keeps opened",
             f"{found['resident'] / 1e6:,.0f} MB ({found['bytes_per_key']:,.0f} bytes a key, goal: at most {GOAL_KEY_BYTES:,})"],
            ["finding one by its label, with the round trip, p50", f"{found['find_ms_p50']:.2f} ms"],
            ["the same, p99", f"{found['find_ms_p99']:.2f} ms"],
            ["finding all", f"{found['list_s']:.1f} s"],
            ["replacing the masking key: sealing all anew, and looking through all again", f"{found['rotate_s']:,.0f} s (`rotation-pause-ms: 0`)"]]
    return f"One node on SQLite with {n:,} AES-256 token keys, each with a label of its own.\n\n" + table(["what", "figure"], rows)
