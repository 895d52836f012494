"""What an operator does with hsm and hsmd, and what they are told when they do it wrong."""
import base64
import json
import subprocess
import urllib.request

import pytest

from fixture.cluster import Cluster

USAGE, NOT_FOUND, NOT_ALLOWED, UNAVAILABLE, INVALID = 2, 3, 4, 5, 6


def fails(cluster, status, *arguments, user=None, says=(), **options):
    done = cluster.run(*arguments, user=user, check=False, **options)
    text = (done.stdout + done.stderr).decode()
    assert done.returncode == status, text
    for word in says:
        assert word in text
    return text


# --- the command ---

def test_a_mistyped_command_suggests_the_right_one(cluster):
    fails(cluster, USAGE, "key", "genrate", "aes-256", says=["hsm key generate"])
    fails(cluster, USAGE, "clusterr", "describe", says=["hsm cluster describe"])
    fails(cluster, USAGE, "key", says=["key list"])


def test_options_that_do_not_belong_are_named(cluster):
    fails(cluster, USAGE, "user", "list", "--mechanism", "x", says=["--mechanism"])
    fails(cluster, USAGE, "key", "generate", says=["TYPE"])


def test_every_command_has_help(cluster):
    listing = cluster.run("--help").stdout.decode()
    commands = [line.split("  ")[1].strip() for line in listing.split("Commands")[1].split("Options")[0].splitlines()[1:] if line.strip()]
    assert len(commands) > 30
    for command in commands:
        assert f"usage: hsm {command}" in cluster.run(*command.split(), "--help").stdout.decode()


def test_completion_and_man_page_are_well_formed(cluster):
    completion = cluster.run("completion", "bash").stdout
    assert subprocess.run(["bash", "-n"], input=completion).returncode == 0
    page = cluster.run("man").stdout
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "error"], input=page, capture_output=True)
    assert done.returncode == 0, done.stdout.decode()


def test_misspelt_settings_are_named_with_the_nearest(cluster, tmp_path):
    config = tmp_path / "hsm.yaml"
    config.write_text("node: tls+tcp://127.0.0.1:1\n")
    fails(cluster, 1, "--config", config, "user", "list", config=False, says=["hsm.yaml:1", "nodes"])
    config.write_text("listn: tls+tcp://127.0.0.1:0\n")
    done = subprocess.run([cluster.hsmd, "--config", config], capture_output=True, text=True)
    assert done.returncode != 0 and "listen" in done.stderr and "1" in done.stderr


# --- keys ---

def test_a_wrapped_key_comes_back_as_it_was(cluster, tmp_path):
    user = Cluster.USER
    cluster.run("key", "generate", "aes-256", "--label", "kek", "--attribute", "wrap=true", "--attribute", "unwrap=true",
                user=user)
    cluster.run("key", "generate", "aes-128", "--label", "traveller", "--attribute", "extractable=true", user=user)
    (tmp_path / "plain").write_bytes(b"text" * 100)
    cluster.run("encrypt", "--key", "traveller", "--in", tmp_path / "plain", "--out", tmp_path / "cipher", user=user)
    cluster.run("key", "wrap", "traveller", "--wrapping-key", "kek", "--out", tmp_path / "wrapped", user=user)
    cluster.run("key", "unwrap", "aes", "--wrapping-key", "kek", "--in", tmp_path / "wrapped", "--label", "returned",
                user=user)
    cluster.run("decrypt", "--key", "returned", "--in", tmp_path / "cipher", "--out", tmp_path / "back", user=user)
    assert (tmp_path / "back").read_bytes() == b"text" * 100
    shown = cluster.json("key", "show", "returned", user=user)
    assert shown["local"] is False and shown["never-extractable"] is False


def test_an_unextractable_key_is_not_wrapped(cluster, tmp_path):
    user = Cluster.USER
    cluster.run("key", "generate", "aes-256", "--label", "kek2", "--attribute", "wrap=true", user=user)
    cluster.run("key", "generate", "aes-256", "--label", "stays", user=user)
    fails(cluster, 1, "key", "wrap", "stays", "--wrapping-key", "kek2", user=user, says=["extractable"])


def test_an_imported_key_signs_what_openssl_verifies(cluster, tmp_path):
    pem, data, signature = tmp_path / "k.pem", tmp_path / "data", tmp_path / "sig"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", pem],
                   check=True, capture_output=True)
    data.write_bytes(b"signed with an imported key")
    cluster.run("key", "import", "ec", "--in", pem, "--label", "imported", user=Cluster.USER)
    cluster.run("sign", "--key", "imported", "--in", data, "--format", "der", "--out", signature, user=Cluster.USER)
    done = subprocess.run(["openssl", "dgst", "-sha256", "-prverify", pem, "-signature", signature, data],
                          capture_output=True)
    assert done.returncode == 0, done.stdout


def test_a_key_reference_names_the_private_key_and_holds_its_public_key(cluster, tmp_path):
    user, pem, public = Cluster.USER, tmp_path / "referred.pem", tmp_path / "public.der"
    unique_id = cluster.json("key", "generate", "ec-p256", "--label", "referred", user=user)["unique_id"]
    cluster.run("key", "export", "referred", "--reference", "--out", pem, user=user)
    assert pem.stat().st_mode & 0o111 == 0
    lines = pem.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("-----BEGIN HSM KEY REFERENCE-----", "-----END HSM KEY REFERENCE-----")
    der = base64.b64decode("".join(lines[1:-1]))
    assert der == cluster.run("key", "export", unique_id, "--reference", "--format", "der", user=user).stdout
    cluster.run("key", "export", "referred", "--format", "der", "--out", public, user=user)
    cluster_id = cluster.json("cluster", "describe")["id"]
    assert bytes.fromhex(cluster_id) in der and bytes.fromhex(unique_id) in der and public.read_bytes() in der
    done = subprocess.run(["openssl", "asn1parse", "-inform", "DER"], input=der, capture_output=True)
    assert b"UTF8STRING        :referred" in done.stdout and b"id-ecPublicKey" in done.stdout


def test_only_private_keys_that_last_are_referred_to(cluster, tmp_path):
    user, pem = Cluster.USER, tmp_path / "none.pem"
    cluster.run("key", "generate", "aes-128", "--label", "no pair", user=user)
    fails(cluster, NOT_FOUND, "key", "export", "no pair", "--reference", "--out", pem, user=user)
    made = cluster.json("key", "generate", "ec-p256", "--label", "pair", user=user)
    fails(cluster, 1, "key", "export", made["public_unique_id"], "--reference", "--out", pem, user=user,
          says=["private key"])
    assert not pem.exists()


def test_an_altered_ciphertext_and_signature_are_refused(cluster, tmp_path):
    user = Cluster.USER
    cluster.run("key", "generate", "aes-256", "--label", "a", user=user)
    cluster.run("key", "generate", "ec-p256", "--label", "s", user=user)
    plain = tmp_path / "plain"
    plain.write_bytes(b"x" * 50)
    for command, out in (("encrypt", "c"), ("sign", "s")):
        cluster.run(command, "--key", "a" if out == "c" else "s", "--in", plain, "--out", tmp_path / out, user=user)
        data = bytearray((tmp_path / out).read_bytes())
        data[-1] ^= 1
        (tmp_path / out).write_bytes(data)
    fails(cluster, INVALID, "decrypt", "--key", "a", "--in", tmp_path / "c", user=user)
    fails(cluster, INVALID, "verify", "--key", "s", "--in", plain, "--signature", tmp_path / "s", user=user)


def test_attributes_change_in_the_safe_direction_only(cluster):
    user = Cluster.USER
    cluster.run("key", "generate", "aes-256", "--label", "strict", "--attribute", "extractable=true", user=user)
    cluster.run("key", "set", "strict", "extractable=false", user=user)
    fails(cluster, 1, "key", "set", "strict", "extractable=true", user=user)
    fails(cluster, 1, "key", "set", "strict", "sensitive=false", user=user)
    assert cluster.json("key", "show", "strict", user=user)["extractable"] is False


def test_unknown_keys_and_forbidden_mechanisms_are_told_apart(cluster, tmp_path):
    user = Cluster.USER
    cluster.run("key", "generate", "aes-256", "--label", "only-ctr", "--attribute", "allowed-mechanisms=aes-ctr", user=user)
    fails(cluster, NOT_FOUND, "key", "show", "no-such-key", user=user, says=["no-such-key"])
    fails(cluster, 1, "encrypt", "--key", "only-ctr", "--mechanism", "aes-gcm", "--in", "/dev/null", user=user)
    cluster.run("encrypt", "--key", "only-ctr", "--mechanism", "aes-ctr", "--in", "/dev/null", "--out", tmp_path / "o",
                user=user)


def test_sharing_lets_others_use_but_not_delete(cluster, tmp_path):
    cluster.set_password("friend", "the friend's password")
    cluster.run("user", "create", "friend", "--role", "crypto-user", "--new-password-file",
                cluster.passwords["friend"], user=Cluster.ADMIN)
    cluster.run("key", "generate", "ec-p256", "--label", "shared", user=Cluster.USER)
    fails(cluster, NOT_FOUND, "sign", "--key", "shared", "--in", "/dev/null", user="friend")
    cluster.run("key", "share", "shared", "friend", user=Cluster.USER)
    cluster.run("sign", "--key", "shared", "--in", "/dev/null", "--out", tmp_path / "s", user="friend")
    fails(cluster, NOT_ALLOWED, "key", "delete", "shared", "--yes", user="friend")
    cluster.run("key", "share", "shared", "friend", "--undo", user=Cluster.USER)
    fails(cluster, NOT_FOUND, "sign", "--key", "shared", "--in", "/dev/null", user="friend")


def test_large_files_are_encrypted_in_parts(cluster, tmp_path):
    plain = tmp_path / "plain"
    plain.write_bytes(bytes(range(256)) * 20000)  # 5 MB
    cluster.run("key", "generate", "aes-256", "--label", "large", user=Cluster.USER)
    for mechanism in ("aes-gcm", "aes-ctr", "aes-cbc-pad"):
        cluster.run("encrypt", "--key", "large", "--mechanism", mechanism, "--in", plain, "--out", tmp_path / "c",
                    user=Cluster.USER)
        cluster.run("decrypt", "--key", "large", "--mechanism", mechanism, "--in", tmp_path / "c", "--out",
                    tmp_path / "back", user=Cluster.USER)
        assert (tmp_path / "back").read_bytes() == plain.read_bytes()


# --- users ---

def test_administrators_use_no_keys_and_users_administrate_nothing(cluster):
    fails(cluster, NOT_ALLOWED, "key", "generate", "aes-256", user=Cluster.ADMIN)
    fails(cluster, NOT_ALLOWED, "user", "delete", Cluster.ADMIN, "--yes", user=Cluster.USER)
    fails(cluster, NOT_ALLOWED, "user", "delete", Cluster.ADMIN, "--yes", user=Cluster.ADMIN, says=["last administrator"])


def test_wrong_passwords_lock_a_user_until_it_is_reset(cluster):
    cluster.set_password("clumsy", "the right password")
    cluster.run("user", "create", "clumsy", "--role", "crypto-user", "--new-password-file", cluster.passwords["clumsy"],
                user=Cluster.ADMIN)
    cluster.set_password("clumsy", "a wrong password")
    for _ in range(5):
        fails(cluster, NOT_ALLOWED, "key", "list", user="clumsy", says=["wrong user name or password"])
    cluster.set_password("clumsy", "the right password")
    fails(cluster, NOT_ALLOWED, "key", "list", user="clumsy", says=["locked"])
    states = {row["name"]: row["state"] for row in cluster.json("user", "list")}
    assert states["clumsy"] == "locked"
    cluster.set_password("clumsy", "a fresh password")
    cluster.run("user", "password", "clumsy", "--new-password-file", cluster.passwords["clumsy"], user=Cluster.ADMIN)
    cluster.run("key", "list", user="clumsy")


def test_weak_passwords_and_odd_names_are_refused(cluster):
    cluster.set_password("short", "short")
    fails(cluster, 1, "user", "create", "short", "--role", "auditor", "--new-password-file", cluster.passwords["short"],
          user=Cluster.ADMIN, says=["8"])
    cluster.set_password("x", "a good password")
    fails(cluster, 1, "user", "create", "a b", "--role", "auditor", "--new-password-file", cluster.passwords["x"],
          user=Cluster.ADMIN)


# --- audit and metrics ---

def test_the_audit_log_is_complete_and_names_who_did_what(cluster):
    cluster.run("key", "generate", "aes-256", "--label", "audited", user=Cluster.USER)
    entries = [row for node in cluster.nodes for row in cluster.json("audit", "show", "--name", node.name, user=Cluster.ADMIN)]
    assert any(row["operation"] == "KEY_GENERATE" and row["user"] == Cluster.USER for row in entries)
    for node in cluster.nodes:
        cluster.run("audit", "verify", "--name", node.name, user=Cluster.ADMIN)
    fails(cluster, NOT_ALLOWED, "audit", "show", user=Cluster.USER)


def test_metrics_are_served_on_loopback(cluster):
    for node in cluster.nodes:
        port = node.ready["metrics_port"] if "metrics_port" in node.ready else node.ready["metrics"]
        url = port if str(port).startswith("http") else f"http://127.0.0.1:{port}/metrics"
        page = urllib.request.urlopen(url, timeout=10).read().decode()
        samples = [line for line in page.splitlines() if line and not line.startswith("#")]
        assert len(samples) > 20
        for line in samples:
            float(line.rsplit(" ", 1)[1])


# --- life cycle ---

def test_steps_out_of_order_are_refused(single, tmp_path):
    node = single.nodes[0]
    cluster_twice = ["cluster", "create", "--endpoint", node.socket, "--name", "again", "--csr", single.folder / "x.csr"]
    fails(single, 1, *cluster_twice, config=False)
    single.set_password("usurper", "somebody else's")
    fails(single, 1, "cluster", "activate", user="usurper", says=["already"])
    initialize = ["cluster", "initialize", "--endpoint", node.socket, "--certificate", single.folder / "node1.pem"]
    single.run(*initialize, "--ca", single.ca / "ca.pem", config=False)  # the same again is a resend
    single.run("ca", "create", "--directory", tmp_path / "ca", config=False)
    fails(single, 1, *initialize, "--ca", tmp_path / "ca" / "ca.pem", config=False)


def test_a_client_of_another_ca_gets_in_nowhere(single, tmp_path):
    single.run("ca", "create", "--directory", tmp_path / "ca", config=False)
    single.run("ca", "client", "--directory", tmp_path / "ca", "--name", "stranger", "--certificate", tmp_path / "c.pem",
               "--key", tmp_path / "c.key", config=False)
    config = single.write_client_config(tmp_path / "hsm.yaml", **{
        "certificate-file": str(tmp_path / "c.pem"), "key-file": str(tmp_path / "c.key"), "timeout-ms": 2000})
    fails(single, UNAVAILABLE, "--config", config, "user", "list", config=False, says=["refused this client's certificate"])
    config = single.write_client_config(tmp_path / "hsm.yaml", **{"ca-file": str(tmp_path / "ca" / "ca.pem"), "timeout-ms": 2000})
    fails(single, UNAVAILABLE, "--config", config, "user", "list", config=False, says=["certificate"])


def test_a_second_node_on_the_same_folder_is_refused(single):
    done = subprocess.run([single.hsmd, "--config", single.nodes[0].config], capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and "in use" in done.stdout + done.stderr


def test_a_damaged_store_is_refused_with_what_to_do(single):
    node = single.nodes[0]
    assert node.stop() == 0
    for suffix in ("-wal", "-shm"):
        (single.folder / f"store.db{suffix}").unlink(missing_ok=True)
    (single.folder / "store.db").write_bytes(b"no database at all, just some bytes" * 100)
    done = subprocess.run([single.hsmd, "--config", node.config], capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and "store.db" in done.stdout + done.stderr and "backup" in done.stdout + done.stderr


def test_the_store_of_another_cluster_is_refused(single):
    with Cluster(1) as other:
        node = single.nodes[0]
        node.stop()
        node.settings["store"] = other.nodes[0].settings["store"]
        node.write_config()
        done = subprocess.run([single.hsmd, "--config", node.config], capture_output=True, text=True, timeout=30)
        assert done.returncode != 0 and "belongs to cluster" in done.stdout + done.stderr


def test_a_removed_node_serves_no_more(own_cluster):
    victim = own_cluster.nodes[2]
    own_cluster.run("node", "remove", victim.name, "--yes", user=Cluster.ADMIN)
    names = [row["name"] for row in own_cluster.json("cluster", "describe")["nodes"]]
    assert victim.name not in names
    own_cluster.run("key", "generate", "aes-256", "--label", "after", user=Cluster.USER)
    config = own_cluster.folder / "removed.yaml"
    settings = json.loads(own_cluster.config.read_text())
    settings |= {"nodes": [url for url in settings["nodes"] if url == victim.settings["listen"][0]], "timeout-ms": 3000}
    config.write_text(json.dumps(settings))
    done = own_cluster.run("--config", config, "--user", Cluster.USER, "--password-file",
                           own_cluster.passwords[Cluster.USER], "key", "list", config=False, check=False)
    assert done.returncode != 0


@pytest.mark.parametrize("signal_name", ["SIGTERM"])
def test_a_node_stops_in_order(single, signal_name):
    assert single.nodes[0].stop() == 0
    assert "stopped" in single.nodes[0].log_tail()
