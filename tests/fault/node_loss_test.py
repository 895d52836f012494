"""Nodes that die, hang, drain and come back, under load: no call fails, none takes long, nothing acknowledged is lost."""
import json
import subprocess
import threading
import time
from pathlib import Path

from fixture.cluster import Cluster

# A machine with two busy cores may stall anybody for a while; a call that had to wait for a dead node would take seconds.
SLOWEST_MS = 1500


def load(cluster, work="p256-sign", threads=8, seconds=4, **actions):
    """Runs the load and, meanwhile, each action at its second; the total of the load."""
    process = subprocess.Popen(
        [str(word) for word in (cluster.hsm, "--config", cluster.config, "--user", Cluster.USER, "--password-file",
                                cluster.passwords[Cluster.USER], "--output", "json", "bench", work, "--threads", threads,
                                "--seconds", seconds, "--check")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    timers = [threading.Timer(second, action) for second, action in actions.get("at", [])]
    for timer in timers:
        timer.start()
    out, error = process.communicate(timeout=120)
    for timer in timers:
        timer.join()
    assert out, error.decode()
    return json.loads(out.decode().splitlines()[-1])


def check(total):
    assert total["failures"] == 0, total
    assert total["wrong"] == 0, total
    assert total["operations"] > 100
    assert total["max_us"] < SLOWEST_MS * 1000, total


def test_a_killed_node_fails_no_call(own_cluster):
    victim = own_cluster.nodes[0]
    check(load(own_cluster, at=[(1.5, victim.kill), (2.5, victim.start)]))


def test_a_stopped_node_fails_no_call(own_cluster):
    victim = own_cluster.nodes[1]
    check(load(own_cluster, at=[(1.5, victim.pause), (3, victim.resume)]))


def test_a_draining_node_fails_no_call(own_cluster):
    victim = own_cluster.nodes[2]
    check(load(own_cluster, at=[(1.5, victim.stop), (2.5, victim.start)]))
    assert victim.running()


def test_a_node_that_stops_leaves_the_others_their_store(own_cluster):
    """Stopping, a node must not take itself for the last user of the store and delete what others write into: it would,
    if they had given up their locks by closing another descriptor of the file."""
    first, *others = own_cluster.nodes
    for other in others:
        check(load(own_cluster, work="noop", seconds=1))
        own_cluster.run("key", "generate", "aes-256", "--label", "kept", user=Cluster.USER)
        subprocess.run([own_cluster.hsm, "--config", own_cluster.config, "--user", Cluster.USER, "--password-file",
                        own_cluster.passwords[Cluster.USER], "key", "list"], check=True, capture_output=True)
        other.stop()
        files = [link.readlink() for link in Path(f"/proc/{first.process.pid}/fd").iterdir()]
        assert any("store.db-wal" in str(file) for file in files)
        assert [file for file in files if "(deleted)" in str(file)] == []
        other.start()


def test_keys_survive_all_nodes(own_cluster):
    made = json.loads(own_cluster.run("--output", "json", "key", "generate", "ec-p256", "--label", "kept",
                                      user=Cluster.USER).stdout)
    for node in own_cluster.nodes:
        node.kill()
    assert own_cluster.run("key", "list", user=Cluster.USER, check=False, timeout=60).returncode == 5
    for node in own_cluster.nodes:
        node.start()
    rows = own_cluster.json("key", "list", "--label", "kept", user=Cluster.USER)
    assert made["unique_id"] in [row["unique_id"] for row in rows]


def test_every_acknowledged_key_is_there_after_kills(own_cluster):
    """Keys are made one after another while nodes die; what was acknowledged is on every node afterwards."""
    acknowledged = []
    stop = threading.Event()

    def make():
        while not stop.is_set():
            label = f"k{len(acknowledged)}"
            done = own_cluster.run("key", "generate", "aes-256", "--label", label, user=Cluster.USER, check=False)
            if done.returncode == 0:
                acknowledged.append(label)

    maker = threading.Thread(target=make)
    maker.start()
    for node in own_cluster.nodes[:2]:
        time.sleep(0.7)
        node.kill()
        time.sleep(0.3)
        node.start()
    deadline = time.monotonic() + 60
    while len(acknowledged) <= 3 and time.monotonic() < deadline:  # on a machine that is slow
        time.sleep(0.05)
    stop.set()
    maker.join()
    assert len(acknowledged) > 3
    for node in own_cluster.nodes:
        config = own_cluster.write_client_config(own_cluster.folder / f"{node.name}.yaml", nodes=node.urls,
                                                 **{"refresh-interval-ms": 0})
        out = own_cluster.run("--output", "json", "key", "list", user=Cluster.USER, config=config).stdout
        labels = [row["label"] for row in json.loads(out)]
        assert sorted(set(acknowledged)) == sorted(set(labels) & set(acknowledged))
        assert len(labels) == len(set(labels)), "a key was made twice"
