"""Faults, one kind a class method, and the lanes in which they happen: two of nodes, of which one node is always left out,
and one each of the store and the clocks; and the replacement of the masking key, which is no fault but must survive all of them."""
import random
import signal
import threading
import time

SHORTEST_S, LONGEST_S = 0.1, 2.0


class Lane(threading.Thread):
    """One fault after another, until the storm is over; each is healed before the next."""

    def __init__(self, storm, name):
        super().__init__(name=name, daemon=True)
        self.storm = storm
        self.random = random.Random(f"{storm.seed}/{name}")

    def run(self):
        while not self.storm.stopping.is_set():
            self.storm.stopping.wait(self.random.uniform(0, 0.5))
            if self.storm.stopping.is_set():
                return
            try:
                self.one_fault()
            except Exception as error:
                self.storm.history.violated(f"{self.name}: {type(error).__name__}: {error}")
                return

    def last(self):
        self.storm.stopping.wait(self.random.uniform(SHORTEST_S, LONGEST_S))

    def begin(self, kind, target):
        self.storm.note_fault(kind, target)


class NodeLane(Lane):
    """Nodes are killed, stopped for a while, restarted in order, cut off."""

    KINDS = ("kill", "stop", "restart", "cut off")

    def one_fault(self):
        node = self.storm.take_node(self.random)
        if not node:
            time.sleep(0.05)
            return
        try:
            kind = self.random.choice(self.KINDS if node.host else self.KINDS[:3])
            self.begin(kind, node.name)
            getattr(self, kind.replace(" ", "_"))(node)
        finally:
            self.storm.give_node(node)

    def kill(self, node):
        node.kill()
        self.last()
        self.start_node(node)

    def stop(self, node):
        node.pause()
        self.last()
        node.resume()

    def restart(self, node):
        node.stop()
        self.start_node(node)

    def cut_off(self, node):
        node.host.cut_off()
        self.last()
        node.host.connect()

    def start_node(self, node):
        """It needs its store to come up: as long as that is away it is tried again, as a supervisor would."""
        begin = time.monotonic()
        while True:
            try:
                node.start()
                node.wait_ready(listening=True)
                self.storm.write(f"{node.name} is back after {time.monotonic() - begin:.2f} s")
                return
            except Exception:
                if node.running():  # and neither ready nor given up: it hangs
                    self.storm.keep_stacks(node)
                    raise
                if self.storm.healed.is_set():
                    raise
                time.sleep(0.2)


class EtcdLane(Lane):
    """Members of etcd are killed and stopped, now and then the majority of them."""

    def one_fault(self):
        members = self.storm.etcd.members
        n = 2 if self.random.random() < 0.15 else 1
        victims = self.random.sample(members, n)
        if self.random.random() < 0.3:
            victims[0] = self.storm.leader() or victims[0]
        kind = self.random.choice(("kill", "stop"))
        self.begin(f"etcd {kind}", " ".join(member.name for member in victims))
        for member in {*victims}:
            if kind == "kill":
                member.kill()
            else:
                member.signal(signal.SIGSTOP)
        self.last()
        for member in {*victims}:
            if kind == "kill":
                member.start()
            else:
                member.signal(signal.SIGCONT)
        self.storm.stopping.wait(self.random.uniform(1, 3))  # so that changes get done at all


class DiskLane(Lane):
    """The store's disk is filled to its last byte, and emptied again."""

    def one_fault(self):
        self.begin("full disk", "store")
        filler = self.storm.store_folder / "filler"
        try:
            with filler.open("wb") as file:
                while True:
                    file.write(bytes(1 << 16))
        except OSError:
            pass
        self.last()
        filler.unlink()
        self.storm.stopping.wait(self.random.uniform(1, 3))


class ClockLane(Lane):
    """The clock of one node jumps, ahead and back."""

    def one_fault(self):
        node = self.random.choice(self.storm.cluster.nodes)
        seconds = self.random.randint(-120, 120)
        self.begin("clock", f"{node.name} {seconds:+d} s")
        node.clock.set(seconds)
        self.storm.stopping.wait(self.random.uniform(0.5, 3))
        node.clock.set(0)


class RotationLane(Lane):
    """An administrator replaces the masking key, time and again."""

    GRACE_S = 150  # more than clocks jump

    def one_fault(self):
        done = self.storm.cluster.run("cluster", "rotate-key", "--background", "--grace", self.GRACE_S,
                                      user=self.storm.cluster.ADMIN, check=False)
        if done.returncode == 0:
            self.storm.history.count("begin a replacement of the masking key")
        self.storm.stopping.wait(self.random.uniform(1, 5))
