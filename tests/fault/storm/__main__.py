"""./dev fault SECONDS [--seed N] [--store sqlite|etcd] [--faults N]: a storm of random faults over a cluster under load."""
import argparse
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/fault"), str(ROOT / "python")]
os.environ.setdefault("HSM_BUILD", str(ROOT / "build/release"))
os.environ.setdefault("HSM_LIBRARY", str(Path(os.environ["HSM_BUILD"]) / "libhsm/libhsm.so"))


def arguments():
    parser = argparse.ArgumentParser(prog="dev fault", description=__doc__)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--store", choices=("sqlite", "etcd"), default="sqlite")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--folder", type=Path, help="where logs are kept (default: a temporary folder)")
    return parser.parse_args()


def enter_namespaces():
    """Everything below has mounts, networks and processes of its own, which end with it."""
    if os.environ.get("HSM_STORM_INSIDE"):
        return
    root = [] if os.geteuid() == 0 else ["--map-root-user"]
    done = subprocess.run(["unshare", *root, "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
                           sys.executable, "-m", "storm", *sys.argv[1:]], cwd=ROOT / "tests/fault",
                          env={**os.environ, "HSM_STORM_INSIDE": "1"})
    sys.exit(done.returncode)


class Storm:
    OTHER = "other"
    KEYS_PER_CLIENT = 200

    def __init__(self, options, folder):
        from fixture.cluster import Cluster
        from storm.history import History
        self.seed = options.seed
        self.options = options
        self.folder = folder
        self.history = History()
        self.stopping, self.healed = threading.Event(), threading.Event()
        self.lock = threading.Lock()  # guards the two below
        self.faulty = set()
        self.faults = collections.Counter()
        self.etcd = None
        self.store_folder = folder / "store"
        self.cluster = Cluster(options.nodes, folder=folder / "cluster", settings=self.store_settings(),
                               client={"timeout-ms": 30000})

    def store_settings(self):
        if self.options.store == "sqlite":
            self.store_folder.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", self.store_folder], check=True)
            return {"store": f"sqlite:{self.store_folder / 'store.db'}"}
        from fixture.etcd import Etcd
        from storm.network import GATEWAY
        self.etcd = Etcd(self.folder / "etcd", host=GATEWAY).start()
        return self.etcd.settings

    def set_up(self):
        from clock_test import NodeClock
        from storm.network import Host
        for number, node in enumerate(self.cluster.nodes, 1):
            node.host = Host(number)
            node.wrapper = node.host.wrapper
            node.clock = NodeClock(node)
            node.settings["listen"] = [f"tls+tcp://{node.host.address}:7447"]
            node.settings["metrics"] = "off"
            node.write_config()
        self.cluster.create()
        self.cluster.set_password(self.OTHER, "the other user's password")
        self.cluster.run("user", "create", self.OTHER, "--role", "crypto-user", "--new-password-file",
                         self.cluster.passwords[self.OTHER], user=self.cluster.ADMIN)

    # Which nodes a fault may have: never all.

    def take_node(self, randomness):
        with self.lock:
            free = [node for node in self.cluster.nodes if node not in self.faulty]
            if len(free) < 2:
                return None
            node = randomness.choice(free)
            self.faulty.add(node)
            return node

    def give_node(self, node):
        with self.lock:
            self.faulty.discard(node)

    def note_fault(self, kind, target):
        with self.lock:
            self.faults[kind] += 1
        self.write(f"{kind} {target}")

    def write(self, what):
        print(f"{time.monotonic() - self.began:8.2f} s  {what}", file=self.journal, flush=True)

    def keep_stacks(self, node):
        """What the threads of a node that hangs are doing, beside its log, where there is a debugger."""
        if shutil.which("gdb"):
            with (node.folder / "stacks").open("w") as file:
                subprocess.run(["gdb", "-p", str(node.process.pid), "-batch", "-ex", "thread apply all bt"], stdout=file,
                               stderr=subprocess.STDOUT, timeout=60)

    def leader(self):
        try:
            return self.etcd.leader()
        except Exception:
            return None

    # The storm.

    def run(self):
        from storm.faults import ClockLane, DiskLane, EtcdLane, NodeLane, RotationLane
        from storm.workload import Client
        lanes = [NodeLane(self, f"nodes {n}") for n in range(max(1, len(self.cluster.nodes) - 1))]
        lanes += [ClockLane(self, "clocks"), EtcdLane(self, "etcd") if self.etcd else DiskLane(self, "disk"),
                  RotationLane(self, "rotation")]
        clients = [Client(self, number) for number in range(self.options.clients)]
        self.began = time.monotonic()
        with (self.folder / "faults.log").open("w") as self.journal:
            for thread in (*clients, *lanes):
                thread.start()
            while time.monotonic() - self.began < self.options.seconds and not self.history.violations:
                time.sleep(0.1)
            self.stopping.set()
            for thread in lanes:
                thread.join(120)
            self.healed.set()
            for thread in clients:
                thread.join(120)
        if any(thread.is_alive() for thread in (*clients, *lanes)):
            self.history.violated("a client or a fault did not come to its end")

    def check(self):
        """After the storm every node must agree with the history, and the audit log must be whole."""
        import hsm
        from storm.workload import CMAC, MESSAGE
        answers = []
        for node in self.cluster.nodes:
            path = self.cluster.write_client_config(self.folder / f"{node.name}.yaml", nodes=node.urls)
            with hsm.Cluster(hsm.Config(path)) as cluster, cluster.session() as session:
                session.login(self.cluster.USER, self.cluster.password(self.cluster.USER))
                answers.append({key for key in session.find({})})
                for record in self.history.records:
                    self.check_record(session, node, record, CMAC, MESSAGE, hsm.ObjectNotFound)
        if any(answer != answers[0] for answer in answers):
            self.history.violated("the nodes do not hold the same keys")
        self.cluster.run("audit", "verify", user=self.cluster.ADMIN)
        self.check_rotation()

    def check_rotation(self):
        """A replacement of the masking key that was begun comes to its end."""
        deadline = time.monotonic() + 60
        while True:
            phase = self.cluster.json("cluster", "masking-key", user=self.cluster.ADMIN)["replacement"]
            if phase in ("none", "grace"):
                return
            if time.monotonic() > deadline:
                self.history.violated(f"the replacement of the masking key stays in phase {phase}")
                return
            time.sleep(0.2)

    def check_record(self, session, node, record, mechanism, message, not_found):
        found = list(session.find({"LABEL": record.label}))
        if len(found) > 1:
            self.history.violated(f"{record.label} exists {len(found)} times on {node.name}")
        if record.deleted and found:
            self.history.violated(f"{record.label} was deleted and is there again on {node.name}")
        if record.key is not None and record.delete_begun is None:
            if found != [record.key]:
                self.history.violated(f"{record.label} was acknowledged and is lost on {node.name}")
            elif record.mac and session.sign(record.key, mechanism, message) != record.mac:
                self.history.violated(f"{record.label} gives another result on {node.name}")

    def figures(self):
        times = sorted(self.history.use_times) or [0.0]
        return {"seed": self.seed, "store": self.options.store, "seconds": round(time.monotonic() - self.began),
                "faults": dict(self.faults), "n_faults": sum(self.faults.values()), "done": self.history.counts,
                "changes_that_failed": self.history.failures,
                "use_ms": {"p50": times[len(times) // 2] * 1e3, "p99": times[len(times) * 99 // 100] * 1e3,
                           "p99.9": times[len(times) * 999 // 1000] * 1e3, "max": times[-1] * 1e3},
                "violations": self.history.violations}


def main():
    options = arguments()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
        sys.argv += ["--seed", str(options.seed)]
    enter_namespaces()
    os.environ.pop("LD_PRELOAD", None)  # a sanitizer's runtime: this process has it, others do without
    print(f"Storm of {options.seconds:.0f} s over {options.nodes} nodes on {options.store}, --seed {options.seed}", flush=True)
    from storm.network import make_bridge
    make_bridge()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="hsm-storm-"))
    folder.mkdir(parents=True, exist_ok=True)
    storm = Storm(options, folder)
    storm.set_up()
    storm.run()
    try:
        storm.check()
    except Exception as error:
        storm.history.violated(f"check: {type(error).__name__}: {error}")
    figures = storm.figures()
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    if figures["violations"]:
        print(f"Violated. Logs: {folder}; the same faults again: --seed {options.seed}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
