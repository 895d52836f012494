"""What many keys cost a node: run by ./dev bench --keys N. Prints one JSON object."""
import json
import os
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "python")]
from fixture.cluster import Cluster  # noqa: E402

THREADS = 32
CACHED = 20_000  # the default of the setting object-cache


def resident_bytes(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0


def login(hsm, cluster):
    os.environ.update(cluster.environment())
    client = hsm.Cluster()
    session = client.session()
    session.login_default()
    return client, session


def make_keys(hsm, session, n):
    """AES-256 token keys with a label each."""
    def work(first):
        for i in range(first, n, THREADS):
            session.key_generate(hsm.MECHANISM_AES_KEY_GEN, {"value-len": 32, "token": True, "label": f"key {i}"})

    threads = [threading.Thread(target=work, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure(build, n):
    os.environ.setdefault("HSM_LIBRARY", str(build / "libhsm/libhsm.so"))
    import hsm
    result = {"keys": n}
    with Cluster(1, build=build, settings={"object-cache": CACHED}) as cluster:
        node = cluster.nodes[0]
        client, session = login(hsm, cluster)
        begin = time.monotonic()
        make_keys(hsm, session, n)
        result["created_per_s"] = round(n / (time.monotonic() - begin))
        node.stop()
        begin = time.monotonic()
        node.start()
        node.wait_ready(listening=True)
        result["start_s"] = round(time.monotonic() - begin, 2)
        session.find_one("key 0")
        base = resident_bytes(node.process.pid)
        keys = list(session.find())
        times = []
        for i in range(0, n, max(1, n // 1000)):
            begin = time.monotonic()
            session.find_one(f"key {i}")
            times.append(time.monotonic() - begin)
        result["find_by_label_ms_p99_with_round_trip"] = round(1000 * sorted(times)[len(times) * 99 // 100], 3)
        for key in keys:
            session.object_get(key, ["label"])
        grown = resident_bytes(node.process.pid) - base
        result["bytes_per_key"] = round(grown / n)
        result["bytes_per_cached_key"] = round(grown / min(n, CACHED))
        result["store_bytes_per_key"] = round((cluster.folder / "store.db").stat().st_size / n)
        session.close()
        client.close()
    return result


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))))
