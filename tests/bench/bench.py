"""Measures this project beside what it is compared with, in one run on the same cores, and writes docs/benchmark.{md,svg}.

Sides: limit (`openssl speed`), softhsm2 (in process, through PKCS#11), pingpong (a bare TLS 1.3 round trip), libhsm
(`hsm bench` against one node over mutual TLS), pkcs11 (the same through this project's PKCS#11 module). Sides of one row run one after the other, so that a machine that drifts
drifts for all of them; read the ratios.
"""
import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from fixture.cluster import Cluster  # noqa: E402

WORKS = ["rsa2048-sign", "p256-sign", "aes256gcm-64", "aes256gcm-1024", "aes256gcm-16384", "random-32", "noop"]
LOADS = [(1, 1), (4, 1), (16, 1), (64, 1), (1, 256)]  # threads, depth
SOFTHSM_THREADS = [1, 4, 16, 64]
PKCS11_WORKS = ["rsa2048-sign", "p256-sign"]
SOFTHSM_MODULES = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
                   "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"]

# What must be reached (threads, depth): (work, loads to take the best of, side to compare with, ratio).
GOALS = [
    ("rsa2048-sign", [(64, 1)], "limit", 0.95),
    ("rsa2048-sign", [(64, 1)], "softhsm2", 2.0),
    ("p256-sign", [(64, 1), (1, 256)], "limit", 0.85),
    ("p256-sign", [(64, 1), (1, 256)], "softhsm2", 2.5),
]
PKCS11_OF_LIBHSM, PKCS11_OF_SOFTHSM = 0.9, 2.0


def openssl_speed(work, seconds):
    """Operations a second on all cores by `openssl speed`, or None where it measures nothing alike."""
    cores = str(os.cpu_count())
    base = ["openssl", "speed", "-mr", "-multi", cores, "-seconds", str(max(1, round(seconds)))]
    if work.startswith("aes256gcm-"):
        size = work.split("-")[1]
        command = base + ["-bytes", size, "-aead", "-evp", "aes-256-gcm"]
    elif work in ("rsa2048-sign", "p256-sign"):
        command = base + [{"rsa2048-sign": "rsa2048", "p256-sign": "ecdsap256"}[work]]
    elif work.startswith("random-"):
        command = base + ["-bytes", work.split("-")[1], "rand"]
    else:
        return None
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    total = next(line for line in out.splitlines() if line.startswith("+F")).split(":")
    if work.endswith("-sign"):
        # +F2:N:BITS:SIGN:VERIFY and +F4 alike: operations a second, or in older releases seconds an operation
        figure = float(total[3])
        ops = figure if figure > 1 else 1 / figure
    else:
        ops = float(total[-1]) / int(work.split("-")[1])
    return {"ops_per_s": ops, "p50_us": None, "p99_us": None, "cpu_us_per_op": os.cpu_count() * 1e6 / ops}


def through_pkcs11(build, module, work, threads, seconds, environment):
    done = subprocess.run([build / "tests/bench/bench_pkcs11", module, work, str(threads), str(seconds)],
                          env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def pkcs11(build, cluster, work, threads, seconds):
    return through_pkcs11(build, build / "bindings/pkcs11/libhsm-pkcs11.so", work, threads, seconds,
                          {"HSM_CONFIG": str(cluster.config), "BENCH_PIN": f"{cluster.USER}:{cluster.password(cluster.USER)}"})


def softhsm(build, module, work, threads, seconds):
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "softhsm2.conf"
        (Path(folder) / "tokens").mkdir()
        config.write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
        return through_pkcs11(build, module, work, threads, seconds, {"SOFTHSM2_CONF": str(config)})


def pingpong(build, cluster, seconds):
    key, request, certificate = (cluster.folder / f"pingpong.{suffix}" for suffix in ("key", "csr", "pem"))
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    "/CN=pingpong", "-keyout", key, "-out", request], capture_output=True, check=True)
    cluster.run("ca", "sign", "--directory", cluster.ca, "--role", "node", "--csr", request, "--out", certificate,
                config=False)
    done = subprocess.run([build / "tests/bench/bench_pingpong", cluster.ca / "ca.pem", cluster.folder / "client.pem",
                           cluster.folder / "client.key", certificate, key, str(seconds)], capture_output=True,
                          text=True, check=True)
    return json.loads(done.stdout)


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def libhsm(cluster, work, threads, depth, seconds):
    node = cluster.nodes[0].process.pid
    before = cpu_seconds(node)
    result = cluster.json("bench", work, "--threads", threads, "--depth", depth, "--seconds", seconds,
                          user=cluster.USER)
    node_cpu = cpu_seconds(node) - before
    ops = max(1, result["operations"])
    if result["failures"]:
        raise SystemExit(f"{work}: {result['failures']} calls failed: {result}")
    return {"ops_per_s": result["ops_per_s"], "p50_us": result["p50_us"], "p99_us": result["p99_us"],
            "cpu_us_per_op": round(result["cpu_us_per_op"] + 1e6 * node_cpu / ops, 3),
            "client_cpu_us_per_op": result["cpu_us_per_op"], "node_cpu_us_per_op": round(1e6 * node_cpu / ops, 3)}


def measure(build, works, seconds):
    rows = []

    def add(work, side, threads, depth, result):
        if result is None:
            return
        rows.append({"work": work, "side": side, "threads": threads, "depth": depth, **result})
        print(f"{work:16} {side:9} {threads:3} threads, depth {depth:3}: {result['ops_per_s']:12,.0f} op/s",
              file=sys.stderr, flush=True)

    module = next((path for path in SOFTHSM_MODULES if Path(path).exists()), None)
    if module is None:
        raise SystemExit("SoftHSM2's module is missing: install softhsm2")
    with Cluster(1, build=build) as cluster:
        for work in works:
            add(work, "limit", os.cpu_count(), 1, openssl_speed(work, seconds))
            if work == "noop":
                add(work, "pingpong", 1, 1, pingpong(build, cluster, seconds))
            for threads, depth in LOADS:
                if work != "noop" and depth == 1 and threads in SOFTHSM_THREADS:
                    add(work, "softhsm2", threads, 1, softhsm(build, module, work, threads, seconds))
                add(work, "libhsm", threads, depth, libhsm(cluster, work, threads, depth, seconds))
                if work in PKCS11_WORKS and depth == 1:
                    add(work, "pkcs11", threads, 1, pkcs11(build, cluster, work, threads, seconds))
    return rows


def many_keys(build, n):
    os.environ["HSM_LIBRARY"] = str(build / "libhsm/libhsm.so")
    sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests/bench")]
    from cluster.keys import fill
    with tempfile.TemporaryDirectory() as folder:
        return {"keys": n, **fill(build, n, Path(folder) / "cluster")}


def best(rows, work, side, loads=None):
    found = [row for row in rows if row["work"] == work and row["side"] == side
             and (loads is None or (row["threads"], row["depth"]) in loads)]
    return max(found, key=lambda row: row["ops_per_s"], default=None)


def goals(rows):
    """(text, reached value, wanted) of every goal whose rows were measured."""
    out = []
    for work, loads, side, wanted in GOALS:
        ours, theirs = best(rows, work, "libhsm", loads), best(rows, work, side)
        if ours and theirs:
            out.append((f"{work} beside {side}", ours["ops_per_s"] / theirs["ops_per_s"], f"at least {wanted}",
                        ours["ops_per_s"] >= wanted * theirs["ops_per_s"]))
    for work in PKCS11_WORKS:
        ours = best(rows, work, "pkcs11", [(64, 1)])
        for side, loads, wanted in (("libhsm", [(64, 1)], PKCS11_OF_LIBHSM), ("softhsm2", None, PKCS11_OF_SOFTHSM)):
            theirs = best(rows, work, side, loads)
            if ours and theirs:
                ratio = ours["ops_per_s"] / theirs["ops_per_s"]
                out.append((f"{work} through PKCS#11 beside {side}", ratio, f"at least {wanted}", ratio >= wanted))
    for work in ("aes256gcm-64", "aes256gcm-1024"):
        ours = best(rows, work, "libhsm", [(1, 256)])
        if ours:
            out.append((f"{work} at depth 256, op/s", ours["ops_per_s"], "at least 200,000",
                        ours["ops_per_s"] >= 200_000))
    ours, floor = best(rows, "noop", "libhsm", [(1, 1)]), best(rows, "noop", "pingpong")
    if ours and floor:
        ratio = floor["ops_per_s"] / ours["ops_per_s"]
        out.append(("no-op alone beside a bare TLS ping-pong, time", ratio, "at most 2", ratio <= 2))
    return out


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def number(value, digits=0):
    return "" if value is None else f"{value:,.{digits}f}"


def markdown(rows, seconds, keys):
    version = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout.split()[1]
    lines = ["# Benchmark", "",
             f"Measured by `./dev bench` on {datetime.date.today()}: {os.cpu_count()} cores of {processor()}, "
             f"Linux {platform.release()}, OpenSSL {version}; {seconds:g} s a row. Client and node share the cores; "
             "libhsm is over mutual TLS 1.3, SoftHSM2 in process. Limit: `openssl speed` on all cores. Processor time is "
             "that of client and node together. [Where the time goes](performance.md) explains what falls short.", "",
             "## Goals", "", "| goal | reached | wanted | |", "| --- | ---: | --- | --- |"]
    for text, value, wanted, reached in goals(rows):
        lines.append(f"| {text} | {value:,.2f} | {wanted} | {'reached' if reached else '**not reached**'} |")
    if keys:
        for text, value, limit in (("node start, s", keys["start_s"], 5), ("bytes of memory a key", keys["bytes_per_key"], 2048)):
            lines.append(f"| {keys['keys']:,} keys: {text} | {value:,.2f} | at most {limit:,} | "
                         f"{'reached' if value <= limit else '**not reached**'} |")
        lines += ["", f"With {keys['keys']:,} token keys: {keys['keys'] / keys['load_s']:,.0f} durable keys made a second; finding one "
                  f"by label takes {keys['find_ms_p99']:.2f} ms (p99) with the round trip; "
                  f"{keys['store_bytes'] / keys['keys']:,.0f} bytes a key in the store, {keys['bytes_per_cached_key']:,.0f} bytes of memory for "
                  "each of the (by default) 20,000 keys that a node keeps opened."]
    lines += ["", "![operations a second beside the limit and SoftHSM2](benchmark.svg)", "", "## All rows", "",
              "| work | side | threads | depth | op/s | of limit | times SoftHSM2 | p50 us | p99 us | client cpu us/op | node cpu us/op |",
              "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        limit, soft = best(rows, row["work"], "limit"), best(rows, row["work"], "softhsm2")
        lines.append("| " + " | ".join([
            row["work"], row["side"], str(row["threads"]), str(row["depth"]), number(row["ops_per_s"]),
            f"{row['ops_per_s'] / limit['ops_per_s']:.0%}" if limit else "",
            f"{row['ops_per_s'] / soft['ops_per_s']:.2f}" if soft else "",
            number(row["p50_us"], 1), number(row["p99_us"], 1),
            number(row.get("client_cpu_us_per_op", row["cpu_us_per_op"]), 2),
            number(row.get("node_cpu_us_per_op"), 2)]) + " |")
    return "\n".join(lines) + "\n"


def plot(rows, path):
    """Bars by work: the limit, the best of SoftHSM2 and the best of libhsm, as a share of the limit."""
    works = [work for work in WORKS if best(rows, work, "limit")]
    if not works:
        return
    data = ["work SoftHSM2 libhsm"]
    for work in works:
        limit = best(rows, work, "limit")["ops_per_s"]
        data.append(" ".join([f'"{work}"'] + [f"{best(rows, work, side)['ops_per_s'] / limit:.3f}" if best(rows, work, side)
                                              else "0" for side in ("softhsm2", "libhsm")]))
    script = f"""
set terminal svg size 800,400 font "sans,12" background "white"
set output "{path}"
set title "best operations a second, as a share of what openssl speed reaches on the same cores"
set style data histogram
set style fill solid 0.8
set yrange [0:*]
set grid ytics
set key top left
$data << EOD
{chr(10).join(data)}
EOD
plot $data using 2:xtic(1) title "SoftHSM2 in process" lc rgb "#999999", \\
     $data using 3 title "libhsm over mutual TLS" lc rgb "#2266bb", 1 title "limit" lc rgb "#bb2222" with lines
"""
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=Path, required=True, help="build folder")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as a JSON list")
    parser.add_argument("--only", metavar="WORK,...", help=f"some of {','.join(WORKS)}; docs/ is left alone then")
    parser.add_argument("--keys", type=int, default=100_000, metavar="N", help="how many keys a node is filled with (0: none)")
    parser.add_argument("--seconds", type=float, default=3, help="seconds a row (default 3)")
    arguments = parser.parse_args()
    works = arguments.only.split(",") if arguments.only else WORKS
    unknown = set(works) - set(WORKS)
    if unknown:
        parser.error(f"unknown work: {', '.join(sorted(unknown))}; there are {', '.join(WORKS)}")

    rows = measure(arguments.build, works, arguments.seconds)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    keys = many_keys(arguments.build, arguments.keys) if arguments.keys and not arguments.only else None
    page = markdown(rows, arguments.seconds, keys)
    if not arguments.only:
        (ROOT / "docs/benchmark.md").write_text(page)
        plot(rows, ROOT / "docs/benchmark.svg")
    print(page)


if __name__ == "__main__":
    main()
