"""The main job, end to end: a cluster from nothing, every kind of key, and a node killed under load.

Started by `./dev demo`. Does what an operator and an application would, with the `hsm` command; checks every signature
with the `openssl` command; ends with a table and a status that is 0 only if nothing failed.
"""
import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from fixture.cluster import Cluster, ClusterError  # noqa: E402
from fixture.etcd import Etcd  # noqa: E402

TERMINAL = sys.stdout.isatty()
LOAD_THREADS = 16
LOAD_SECONDS = 12
KILL_AT, RESTART_AT = 4, 8

# label, key type for `hsm key generate`
KEYS = [(kind, kind) for kind in
        ("rsa-2048", "rsa-3072", "rsa-4096", "ec-p224", "ec-p256", "ec-p384", "ec-p521", "ec-secp256k1", "ed25519",
         "ed448", "x25519", "x448", "aes-128", "aes-192", "aes-256", "generic-32", "ml-dsa-44", "ml-dsa-65",
         "ml-dsa-87", "ml-kem-512", "ml-kem-768", "ml-kem-1024")]

# key, mechanism, hash; how `openssl pkeyutl` is told the same
SIGNATURES = [
    *[(f"rsa-{bits}", "rsa-pkcs", hash_, ["-pkeyopt", "rsa_padding_mode:pkcs1"])
      for bits in (2048, 3072, 4096) for hash_ in ("sha224", "sha256", "sha384", "sha512")],
    *[(f"rsa-{bits}", "rsa-pkcs-pss", hash_, ["-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest"])
      for bits in (2048, 3072, 4096) for hash_ in ("sha256", "sha512")],
    *[(f"ec-{curve}", "ecdsa", hash_, [])
      for curve in ("p224", "p256", "p384", "p521", "secp256k1") for hash_ in ("sha256", "sha512")],
    ("ed25519", "eddsa", None, []),
    ("ed448", "eddsa", None, []),
    ("ml-dsa-44", "ml-dsa", None, []),
    ("ml-dsa-65", "ml-dsa", None, []),
    ("ml-dsa-87", "ml-dsa", None, []),
]

CIPHERS = [("aes-128", "aes-gcm"), ("aes-192", "aes-ctr"), ("aes-256", "aes-gcm"), ("aes-256", "aes-cbc-pad"),
           ("aes-256", "aes-ccm")]


def paint(text, code):
    return f"\x1b[{code}m{text}\x1b[0m" if TERMINAL else text


def step(text):
    print(paint(f"== {text}", "1"), flush=True)


class Demo:
    def __init__(self, cluster, document, etcd=None):
        self.cluster = cluster
        self.etcd = etcd
        self.document = document
        self.folder = cluster.folder / "work"
        self.folder.mkdir(exist_ok=True)
        self.available = set()
        self.wrong = []

    def hsm(self, *arguments):
        return self.cluster.run(*arguments, user=Cluster.USER)

    def note(self, ok, text):
        if not ok:
            self.wrong.append(text)
        if not ok or TERMINAL:
            print(f"   {paint('ok', '32') if ok else paint('WRONG', '31')} {text}", flush=True)

    def generate(self):
        offered = {row["name"] for row in self.cluster.json("node", "describe", user=Cluster.USER)["mechanisms"]}
        for label, kind in KEYS:
            if kind.startswith("ml-") and "ML_" + kind.split("-")[1].upper() not in offered:
                continue
            self.hsm("key", "generate", kind, "--label", label)
            self.available.add(label)
        left_out = [label for label, _ in KEYS if label not in self.available]
        print(f"   {len(self.available)} keys made" +
              (f"; this machine's OpenSSL does not have {', '.join(left_out)}" if left_out else ""))

    def sign_and_verify(self):
        n = 0
        for key, mechanism, hash_, options in SIGNATURES:
            if key not in self.available:
                continue
            name = f"{key} {mechanism}{' ' + hash_ if hash_ else ''}"
            public, signature = self.folder / f"{key}.pem", self.folder / "signature"
            self.hsm("key", "export", key, "--out", public)
            self.hsm("sign", "--key", key, "--mechanism", mechanism, *(["--hash", hash_] if hash_ else []),
                     *(["--format", "der"] if mechanism == "ecdsa" else []), "--in", self.document, "--out", signature)
            self.note(self.openssl_verifies(public, signature, hash_, options), f"{name}: verified by openssl")
            n += 1
        print(f"   {n} signatures of {self.document.name}, each verified by `openssl`")

    def openssl_verifies(self, public, signature, hash_, options):
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-sigfile", signature]
        if hash_:
            digest = self.folder / "digest"
            digest.write_bytes(hashlib.new(hash_, self.document.read_bytes()).digest())
            command += ["-in", digest, "-pkeyopt", f"digest:{hash_}", *options]
        else:
            command += ["-rawin", "-in", self.document]
        return subprocess.run(command, capture_output=True).returncode == 0

    def encrypt_and_decrypt(self):
        for key, mechanism in CIPHERS:
            cipher, plain = self.folder / "cipher", self.folder / "plain"
            self.hsm("encrypt", "--key", key, "--mechanism", mechanism, "--in", self.document, "--out", cipher)
            self.hsm("decrypt", "--key", key, "--mechanism", mechanism, "--in", cipher, "--out", plain)
            self.note(plain.read_bytes() == self.document.read_bytes() and cipher.read_bytes() != plain.read_bytes(),
                      f"{key} {mechanism}: encrypted and decrypted")
        print(f"   {len(CIPHERS)} ciphers round the file")

    def load(self):
        """16 threads sign and check, while one node is killed and comes back. Returns the interval records and the total."""
        command = [self.cluster.hsm, "--config", self.cluster.config, "--user", Cluster.USER, "--password-file",
                   self.cluster.passwords[Cluster.USER], "--output", "json", "bench", "p256-sign", "--threads",
                   str(LOAD_THREADS), "--seconds", str(LOAD_SECONDS), "--check", "--interval", "0.5"]
        victim = self.cluster.nodes[-1]
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
        timers = [threading.Timer(KILL_AT, self.kill, [victim]), threading.Timer(RESTART_AT, self.restart, [victim])]
        records = []
        for line in process.stdout:
            record = json.loads(line)
            if not records:
                for timer in timers:
                    timer.start()
            records.append(record)
            if "interval" in record:
                shares = "  ".join(f"{name} {n:6,}" for name, n in sorted(record["nodes"].items()))
                sys.stdout.write(f"   {record['interval']:5.1f} s {record['ops_per_s']:9,.0f} op/s  slowest "
                                 f"{record['max_us'] / 1000:7.1f} ms  failed {record['failures']}   {shares}\n")
                sys.stdout.flush()
        for timer in timers:
            timer.join()
        if process.wait() or not records:
            self.wrong.append(f"the load ended with status {process.returncode}")
        return records[:-1], records[-1] if records else {}

    def kill(self, node):
        node.kill()
        self.announce(f"{node.name} killed with SIGKILL")
        if self.etcd:
            self.killed_member = self.etcd.leader()
            self.killed_member.kill()
            self.announce(f"{self.killed_member.name}, etcd's leader, killed with SIGKILL")

    def restart(self, node):
        node.start(wait=False)
        self.announce(f"{node.name} started again")
        if self.etcd:
            self.killed_member.start()
            self.announce(f"{self.killed_member.name} started again")

    @staticmethod
    def announce(text):
        # One write, so that it does not run into the line of the other thread.
        sys.stdout.write(paint(f"   -- {text}", "33") + "\n")
        sys.stdout.flush()

    def served(self, intervals):
        """Per node: operations served before the kill, while it was away, and after it came back."""
        phases = {"before": (0, KILL_AT), "during": (KILL_AT, RESTART_AT), "after": (RESTART_AT, 1e9)}
        table = {node.name: dict.fromkeys(phases, 0) for node in self.cluster.nodes}
        for record in intervals:
            for phase, (begin, end) in phases.items():
                if begin < record["interval"] <= end:
                    for name, n in record["nodes"].items():
                        table.setdefault(name, dict.fromkeys(phases, 0))[phase] += n
        return table

    def report(self, intervals, total):
        failures, wrong = total.get("failures", 1), total.get("wrong", 1) + len(self.wrong)
        step("Result")
        rows = [("operations", f"{total.get('operations', 0):,}"), ("operations a second", f"{total.get('ops_per_s', 0):,.0f}"),
                *[(f"latency {name}", f"{total.get(key, 0) / 1000:,.2f} ms") for name, key in
                  (("p50", "p50_us"), ("p99", "p99_us"), ("p99.9", "p999_us"), ("max", "max_us"))],
                ("failures", str(failures)), ("wrong results", str(wrong))]
        for name, value in rows:
            bad = name in ("failures", "wrong results") and value != "0"
            print(f"   {name:22}{paint(f'{value:>14}', '31') if bad else f'{value:>14}'}")
        print(f"\n   {'served by':22}{'before':>14}{'during':>14}{'after':>14}")
        for name, phases in sorted(self.served(intervals).items()):
            print(f"   {name:22}" + "".join(f"{n:>14,}" for n in phases.values()))
        for text in self.wrong:
            print(paint(f"   wrong: {text}", "31"))
        return not failures and not wrong and total.get("operations", 0) > 0


def write_environment(cluster, etcd):
    """env.sh: with it every client of libhsm finds the cluster."""
    library = cluster.build / "libhsm"
    user, password = Cluster.USER, cluster.password(Cluster.USER)
    variables = {**cluster.environment(), "HSM_PASSWORD": password, "HSM_ADMIN_PASSWORD_FILE": str(cluster.passwords[Cluster.ADMIN]),
                 "LD_LIBRARY_PATH": str(library), "PYTHONPATH": str(ROOT / "python"),
                 "HSM_LIBRARY": str(library / "libhsm.so")}
    module = cluster.build / "bindings/pkcs11/libhsm-pkcs11.so"
    if module.exists():
        variables |= {"PKCS11_MODULE": str(module), "PKCS11_PIN": f"{user}:{password}",
                      "PKCS11_SO_PIN": f"{Cluster.ADMIN}:{cluster.password(Cluster.ADMIN)}"}
    path = cluster.folder / "env.sh"
    path.touch(mode=0o600)
    path.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
                    + f'export PATH={shlex.quote(str(cluster.build / "cli"))}:"$PATH"\n')
    stop = cluster.folder / "stop.sh"
    started = [*cluster.nodes, *(etcd.members if etcd else [])]
    stop.write_text("#!/bin/sh\n# Stops the nodes; the folder stays.\nkill " +
                    " ".join(str(one.process.pid) for one in started) + "\n")
    stop.chmod(0o700)
    return path, stop


def keep(cluster, etcd):
    path, stop = write_environment(cluster, etcd)
    step("The cluster stays up")
    print(f"""   folder   {cluster.folder}
   use      . {path}
            hsm key list
            hsm sign --key ec-p256 --mechanism ecdsa --hash sha256 --in README.md --out signature
   stop     {stop}""")


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__.split("\n")[0])
    parser.add_argument("file", nargs="?", type=Path, default=ROOT / "README.md", help="what is signed and encrypted")
    parser.add_argument("--nodes", type=int, default=3, metavar="N", help="how many nodes (2 to 28; default 3)")
    parser.add_argument("--etcd", action="store_true", help="keep the store in three members of etcd; one of them is killed too")
    parser.add_argument("--keep", action="store_true", help="leave the cluster up")
    parser.add_argument("--build", type=Path, required=True, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not 2 <= arguments.nodes <= 28:
        parser.error("--nodes takes 2 to 28")
    if not arguments.file.is_file():
        parser.error(f"{arguments.file} is not a file")

    folder = Path(tempfile.mkdtemp(prefix="hsm-demo-"))
    step(f"A cluster of {arguments.nodes} nodes{' on three members of etcd' if arguments.etcd else ''} in {folder}")
    begin = time.monotonic()
    etcd = Etcd(folder / "etcd") if arguments.etcd else None
    cluster = Cluster(arguments.nodes, folder=folder, build=arguments.build, settings=etcd.settings if etcd else None)
    done = False
    try:
        if etcd:
            etcd.start()
        cluster.create()
        print(f"   created, initialized, activated, joined in {time.monotonic() - begin:.1f} s")
        demo = Demo(cluster, arguments.file.resolve(), etcd)
        step("Keys of every kind")
        demo.generate()
        step("Signatures")
        demo.sign_and_verify()
        step("Encryption")
        demo.encrypt_and_decrypt()
        step(f"{LOAD_THREADS} threads sign and check each signature, while {cluster.nodes[-1].name} dies and comes back")
        intervals, total = demo.load()
        done = demo.report(intervals, total)
        if arguments.keep:
            keep(cluster, etcd)
    except ClusterError as error:
        print(paint(str(error), "31"), file=sys.stderr)
    finally:
        if not (arguments.keep and done):
            cluster.close()
            if etcd:
                etcd.stop()
            if done:
                subprocess.run(["rm", "-rf", folder], check=False)
            else:
                print(f"what there is to look at: {folder}", file=sys.stderr)
    return 0 if done else 1


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
