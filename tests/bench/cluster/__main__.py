"""Measures the cluster, part by part, and writes docs/benchmark-cluster.md: each part has a section of its own there, which
only a run of that part replaces."""
import argparse
import datetime
import importlib
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/benchmark-cluster.md"
PARTS = ("changes", "pauses", "keys", "nodes", "storms")  # in the order of the page
INTRODUCTION = ("# Benchmark: the cluster\n\nEach section was measured by `./dev bench-cluster`, by itself, when and where it says. Nodes, members of "
                "etcd and clients share the machine.\n")


def machine():
    return f"{datetime.date.today()}, {os.cpu_count()} cores, Linux {platform.release()}"


def sections(text):
    """Heading: text, of a page."""
    found = {}
    for chunk in text.split("\n## ")[1:]:
        heading, _, body = chunk.partition("\n")
        found[heading] = body.strip()
    return found


def write_page(heading, body, order):
    found = sections(PAGE.read_text()) if PAGE.exists() else {}
    found[heading] = body.strip()
    PAGE.write_text(INTRODUCTION + "".join(f"\n## {name}\n\n{found[name]}\n" for name in order if name in found))


def main():
    parser = argparse.ArgumentParser(prog="dev bench-cluster", description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--only", default=",".join(PARTS[:-1]), metavar="PART,...", help=f"some of {','.join(PARTS)}")
    parser.add_argument("--number", type=int, default=500, help="changes: creations a figure")
    parser.add_argument("--seconds", type=float, default=5, help="changes, nodes: how long under load")
    parser.add_argument("--trials", type=int, default=10, help="pauses: of each kind")
    parser.add_argument("--keys", type=int, default=1_000_000, help="keys: how many")
    parser.add_argument("--storm", type=Path, action="append", default=[], metavar="FILE",
                        help="storms: what ./dev fault SECONDS --json FILE wrote; may be given again")
    arguments = parser.parse_args()
    parts = arguments.only.split(",")
    unknown = set(parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    os.environ["HSM_LIBRARY"] = str(arguments.build / "libhsm/libhsm.so")
    os.environ["HSM_BUILD"] = str(arguments.build)
    sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests")]

    modules = {part: importlib.import_module(f"cluster.{part}") for part in PARTS}
    for part in parts:
        folder = Path(tempfile.mkdtemp(prefix=f"hsm-bench-{part}-"))
        try:
            body = modules[part].measure(arguments, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        write_page(modules[part].TITLE, f"{machine()}. {body}", [module.TITLE for module in modules.values()])
        print(f"## {modules[part].TITLE}\n\n{body}", flush=True)


if __name__ == "__main__":
    main()
