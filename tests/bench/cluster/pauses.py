"""The pause that clients see when something is lost: the longest call that was under way then, or began soon after."""
import statistics
import threading
import time

import hsm

from .table import create, on_each_store, session_of, table

TITLE = "Pauses"
NODES = 6
USERS = 2
WATCHED_S = 4.0
RECOVERY_S = 2.0
MESSAGE = b"what is signed"
CMAC = hsm.Mechanism(hsm.MECHANISM_AES_CMAC)


class Caller(threading.Thread):
    """Calls again and again; keeps when each began and how long it took."""

    def __init__(self, call):
        super().__init__(daemon=True)
        self.call, self.calls, self.failures = call, [], []
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            begin = time.perf_counter()
            try:
                self.call()
            except hsm.Error as error:
                self.failures.append(error)
            self.calls.append((begin, time.perf_counter() - begin))

    def longest_ms(self, begin, end):
        return max((1000 * took for at, took in self.calls if at + took >= begin and at <= end), default=0)

    def stop(self):
        self.stopping.set()
        self.join()


def callers(cluster):
    """Those that use a key, and one that makes keys."""
    session, number = session_of(cluster), iter(range(1 << 30))
    key = create(session, "used")
    users = [Caller(lambda: session.sign(key, CMAC, MESSAGE)) for _ in range(USERS)]
    other = session_of(cluster)
    return users, Caller(lambda: create(other, f"made-{next(number)}"))


class Losses:
    """What may be lost, how, and what heals it."""

    def __init__(self, cluster, etcd):
        self.cluster, self.etcd, self.turn = cluster, etcd, 0

    def kinds(self):
        kinds = {"nothing": (list, "kill", self.start),
                 "a node stops in order": (self.one_node, "stop", self.start),
                 "a node dies": (self.one_node, "kill", self.start),
                 "a node hangs": (self.one_node, "pause", self.resume),
                 "a zone dies": (self.one_zone, "kill", self.start),
                 "a zone hangs": (self.one_zone, "pause", self.resume)}
        if self.etcd:
            kinds |= {"the leader of etcd dies": (self.leader, "kill", self.start),
                      "the leader of etcd hangs": (self.leader, "pause", self.resume)}
        return kinds

    def one_node(self):
        self.turn += 1
        return [self.cluster.nodes[self.turn % len(self.cluster.nodes)]]

    def one_zone(self):
        """Its nodes, and the member of etcd that is there."""
        self.turn += 1
        zones = self.cluster.zones
        zone = zones[self.turn % len(zones)]
        members = [self.etcd.members[zones.index(zone)]] if self.etcd else []
        return [node for node in self.cluster.nodes if node.settings["zone"] == zone] + members

    def leader(self):
        return [self.etcd.leader()]

    def start(self, lost):
        for one in reversed(lost):  # etcd first
            one.start()
        for node in lost:
            if node in self.cluster.nodes:
                node.wait_ready(listening=True)

    def resume(self, lost):
        for one in lost:
            one.resume()


def trial(kind, users, maker):
    choose, loss, heal = kind
    lost = choose()
    begin = time.perf_counter()
    for one in lost:
        getattr(one, loss)()
    time.sleep(WATCHED_S)
    end = time.perf_counter()
    heal(lost)
    time.sleep(RECOVERY_S)
    return max(user.longest_ms(begin, end) for user in users), maker.longest_ms(begin, end)


def measure(arguments, folder):
    def one(cluster, etcd):
        users, maker = callers(cluster)
        for caller in (*users, maker):
            caller.start()
        time.sleep(RECOVERY_S)
        found = {name: [trial(kind, users, maker) for _ in range(arguments.trials)]
                 for name, kind in Losses(cluster, etcd).kinds().items()}
        for caller in (*users, maker):
            caller.stop()
        n_uses, uses_failed = sum(len(user.calls) for user in users), sum((user.failures for user in users), [])
        return found, n_uses, len(maker.calls), uses_failed, maker.failures

    rows, said = [], []
    for store, (found, n_uses, n_made, uses_failed, made_failed) in on_each_store(
            arguments.build, folder, NODES, one, client={"timeout-ms": 30000}).items():
        for name, trials in found.items():
            uses, changes = zip(*trials)
            rows.append([f"{store}: {name}", f"{statistics.median(uses):.0f}", f"{max(uses):.0f}", f"{statistics.median(changes):.0f}",
                         f"{max(changes):.0f}"])
        said.append(f"On {store} {len(uses_failed)} of {n_uses:,} uses and {len(made_failed)} of {n_made:,} creations failed.")
    return (f"{NODES} nodes in three zones, and, with etcd, a member of it in each; {USERS} threads that use a key without a break, one that makes keys. "
            f"{arguments.trials} trials of each kind: the longest call of the {WATCHED_S:.0f} s from the loss on, in milliseconds. etcd's election timeout: 500 ms.\n\n" +
            table(["what is lost", "use of a key p50", "max", "creation p50", "max"], rows) + "\n\n" + " ".join(said))
