"""What long storms of random faults (tests/fault/storm) came to; it measures nothing by itself."""
import json

from .table import table

TITLE = "Storms"


def measure(arguments, folder):
    storms = [json.loads(path.read_text()) for path in arguments.storm]
    if not storms:
        raise SystemExit("storms: run ./dev fault SECONDS --json FILE first, and give --storm FILE")
    rows, lines = [], []
    for one in storms:
        uses = one["use_ms"]
        rows.append([f"{one['store']}, {one['seconds']:,} s", f"{one['n_faults']:,}", f"{sum(one['done'].values()):,}",
                     f"{sum(one['changes_that_failed'].values()):,}", f"{uses['p50']:.1f}", f"{uses['p99']:,.0f}", f"{uses['max']:,.0f}",
                     len(one["violations"])])
        kinds = ", ".join(f"{kind} {n}" for kind, n in sorted(one["faults"].items()))
        lines.append(f"On {one['store']} (`--seed {one['seed']}`): {kinds}; {one['done'].get('begin a replacement of the masking key', 0)} replacements of the "
                     "masking key.")
    return ("`./dev fault`: three nodes; while clients make, use, share, find and delete keys, nodes are killed, stopped for a while, restarted, cut "
            "off the network, members of etcd killed and stopped, up to the majority of them, disks filled, clocks moved, up to two nodes and more at a time, "
            "but never all. Promises that are checked: no acknowledged key is lost, none that was deleted comes back, none exists twice, no result is wrong, "
            "everybody sees his own changes, no use of a key fails, the audit log is whole.\n\n" +
            table(["store", "faults", "operations", "changes that failed, and said so", "use of a key p50, ms", "p99, ms", "max, ms", "promises broken"], rows) +
            "\n\n" + "\n\n".join(lines))
