"""How long a change takes, and until all nodes know of it. A change is the creation of an AES-256 token key. "Usable
everywhere" is measured with clients that do not tell the nodes what they have seen: each asks its own node for the new key by
label until it is found."""
import statistics
import threading
import time

from .table import create, on_each_store, percentile, session_of, table

TITLE = "Changes"
THREADS = 16
GOAL_MS = 100


def alone(cluster, n):
    """Milliseconds of each of n creations, one after the other."""
    session, times = session_of(cluster), []
    for i in range(n):
        begin = time.perf_counter()
        create(session, f"alone-{i}")
        times.append(1000 * (time.perf_counter() - begin))
    return times


def together(cluster, seconds):
    """Creations a second by many threads."""
    counts, end = [0] * THREADS, time.monotonic() + seconds

    def work(thread):
        session = session_of(cluster)
        while time.monotonic() < end:
            create(session, f"together-{thread}-{counts[thread]}")
            counts[thread] += 1

    threads = [threading.Thread(target=work, args=(i,)) for i in range(THREADS)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - begin)


def until_everywhere(cluster, n):
    """Milliseconds from the acknowledgement until the last of the other nodes finds the key."""
    maker, *others = [session_of(cluster, [node]) for node in cluster.nodes]
    times = []
    for i in range(n):
        create(maker, f"everywhere-{i}")
        begin = time.perf_counter()
        for other in others:
            while not list(other.find({"LABEL": f"everywhere-{i}"})):
                pass
        times.append(1000 * (time.perf_counter() - begin))
    return times


def measure(arguments, folder):
    def one(cluster, _):
        made, known = alone(cluster, arguments.number), until_everywhere(cluster, arguments.number)
        return made, together(cluster, arguments.seconds), known

    results = on_each_store(arguments.build, folder, 3, one)
    rows = [[name, f"{statistics.median(made):.2f}", f"{percentile(made, 0.99):.2f}", f"{rate:,.0f}",
             f"{statistics.median(known):.2f}", f"{percentile(known, 0.99):.2f}"]
            for name, (made, rate, known) in results.items()]
    reached = all(percentile(known, 0.99) < GOAL_MS for _, _, known in results.values())
    return (f"Three nodes; {arguments.number} creations of a token key a figure. Every creation is on disk, on etcd on the disks of two "
            "members, before it is acknowledged.\n\n" +
            table(["store", "creation p50, ms", "p99, ms", f"creations a second, {THREADS} threads",
                   "usable on every node p50, ms", "p99, ms"], rows) +
            f"\n\nGoal: usable on every node within {GOAL_MS} ms (p99): {'reached' if reached else '**not reached**'}. \"Usable on every "
            "node\" counts from the acknowledgement and includes the round trips of asking; a client that takes part in the "
            "creation, or was told of its revision, never waits: the node does.")
