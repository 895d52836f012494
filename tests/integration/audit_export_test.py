"""Exports of the audit log: complete, in forms that others read, and verified without the cluster, which names the first entry
that is wrong."""
import json
import re
import subprocess

import pytest

import hsm
from fixture.cluster import Cluster


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    with Cluster(1, folder=tmp_path_factory.mktemp("logged"), settings={"audit-checkpoint-interval-s": 1}) as made:
        made.set_password("auditor", "the auditor's password")
        made.run("user", "create", "auditor", "--role", "auditor", "--new-password-file", made.passwords["auditor"],
                 user=made.ADMIN)
        session = hsm.Cluster(hsm.Config(made.config)).session()
        session.login(made.USER, made.password(made.USER))
        for n in range(20):
            session.object_delete(session.key_generate_aes(f"key {n}"))
        yield made


@pytest.fixture(scope="module")
def export(logged, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "log.jsonl"
    logged.run("audit", "export", "--out", path, user="auditor")
    return path.read_text().splitlines()


def verify(logged, tmp_path, lines, ca=None):
    path = tmp_path / "changed.jsonl"
    path.write_text("".join(line + "\n" for line in lines))
    return logged.run("--output", "json", "audit", "verify", "--in", path, "--ca", ca or logged.ca / "ca.pem", config=False,
                      check=False)


def refused(logged, tmp_path, lines, says, **options):
    done = verify(logged, tmp_path, lines, **options)
    assert done.returncode == 6 and says in done.stderr.decode(), done.stderr.decode()


def test_an_export_is_whole(logged, export, tmp_path):
    *entries, checkpoint = map(json.loads, export)
    assert [entry["sequence"] for entry in entries] == list(range(1, len(entries) + 1)) and len(entries) > 40
    assert {"USER_CREATE", "KEY_GENERATE", "OBJECT_DELETE"} <= {entry["operation"] for entry in entries}
    assert f"sequence: {len(entries)}\n" in checkpoint["checkpoint"]["text"]
    done = verify(logged, tmp_path, export)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["last"] == len(entries)


def test_two_exports_make_one(logged, export, tmp_path):
    later = logged.run("audit", "export", "--since", str(len(export)), user="auditor").stdout.decode().splitlines()
    assert json.loads(later[0])["sequence"] == len(export)  # the first one's last line is a checkpoint
    assert json.loads(verify(logged, tmp_path, export + later).stdout)["checkpoints"] == 2


@pytest.mark.parametrize("field,value", [("user", "somebody"), ("operation", "LOGOUT"), ("detail", "nothing"), ("status", 14),
                                         ("time_ms", 1), ("object", "0" * 32), ("previous_hash", "0" * 64), ("hash", "0" * 64)])
def test_a_changed_entry_is_named(logged, export, tmp_path, field, value):
    line = json.loads(export[9])
    line[field] = value
    refused(logged, tmp_path, export[:9] + [json.dumps(line)] + export[10:], "line 10: entry 10 was changed")


def test_removed_reordered_and_doubled_entries_are_named(logged, export, tmp_path):
    refused(logged, tmp_path, export[:9] + export[10:], "entry 10 is missing")
    refused(logged, tmp_path, export[:9] + [export[10], export[9]] + export[11:], "entry 10 is missing")
    refused(logged, tmp_path, export[:10] + export[9:], "entry 11 is missing")
    refused(logged, tmp_path, export[:-4] + export[-1:], f"entry {len(export) - 3} is missing: the checkpoint is of")
    refused(logged, tmp_path, export[:-1], "no checkpoint")
    refused(logged, tmp_path, export[:5] + ["not JSON"], "no line of an exported audit log")


def test_only_a_node_of_this_ca_makes_checkpoints(logged, export, tmp_path):
    checkpoint = json.loads(export[-1])
    forged = json.loads(export[-1])
    text = forged["checkpoint"]["text"]
    forged["checkpoint"]["text"] = re.sub(r"sequence: \d+", "sequence: 3", text)
    refused(logged, tmp_path, export[:3] + [json.dumps(forged)], "signature is not a node's")
    # A client has a certificate of the same CA, and signs well, but is no node.
    path = tmp_path / "text"
    path.write_text(text)
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", logged.folder / "client.key", path], check=True,
                               capture_output=True).stdout
    by_client = {"checkpoint": {"text": text, "signature": signature.hex(),
                                "certificate": (logged.folder / "client.pem").read_text()}}
    refused(logged, tmp_path, export[:-1] + [json.dumps(by_client)], "signature is not a node's")
    logged.run("ca", "create", "--directory", tmp_path / "other", "--name", "other CA", config=False)
    refused(logged, tmp_path, export, "signature is not a node's", ca=tmp_path / "other" / "ca.pem")
    assert checkpoint["checkpoint"]["text"] == text


def test_checkpoints_stand_in_the_nodes_log(logged):
    lines = [line for line in logged.nodes[0].log.read_text().splitlines() if 'event="audit checkpoint"' in line]
    assert lines and all(re.search(r"sequence: \d+", line) and re.search(r"signature=[0-9a-f]{130,}", line) for line in lines)


def test_syslog(logged):
    lines = logged.run("audit", "export", "--format", "syslog", user="auditor").stdout.decode().splitlines()
    form = re.compile(r"<1(10|08)>1 \d{4}-\d\d-\d\dT\S+Z - hsmd - audit - (\{.*\})")
    assert all(form.fullmatch(line) for line in lines[:-1]), lines[0]
    assert json.loads(form.fullmatch(lines[0])[2])["sequence"] == 1


def test_who_may_export(logged):
    assert logged.run("audit", "export", user=logged.USER, check=False).returncode == 4
