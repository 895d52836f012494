"""The Python package by itself: wheel, loading, errors, handles, templates. No node is needed."""
import gc
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import hsm
from hsm import attributes
from hsm._library import take

ROOT = Path(__file__).resolve().parents[2]


def python(code, **environment):
    """Runs code in a Python of its own that sees the package."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(ROOT / "python"),
                               "LD_PRELOAD": os.environ.get("HSM_SANITIZER_RUNTIME", ""), **environment})


@pytest.fixture
def offline():
    """A cluster that nobody is asked for."""
    config = hsm.Config.defaults(timeout_ms=200)
    with hsm.Cluster.endpoint("ipc:///nonexistent/node.sock", config) as cluster:
        yield cluster


def test_wheel_has_all_modules_and_types(tmp_path):
    source = tmp_path / "python"
    shutil.copytree(ROOT / "python", source, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    done = subprocess.run([sys.executable, "-m", "pip", "wheel", "--no-index", "--no-build-isolation", "--no-deps",
                           "--wheel-dir", tmp_path, source], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    wheel = tmp_path / f"hsm-{hsm.__version__}-py3-none-any.whl"
    modules = {f"hsm/{path.name}" for path in (ROOT / "python/hsm").iterdir() if path.is_file()}
    assert "hsm/py.typed" in modules and modules <= set(zipfile.ZipFile(wheel).namelist())


def test_import_needs_no_library():
    assert python("import hsm", HSM_LIBRARY="/nonexistent/libhsm.so").returncode == 0


def test_missing_library_is_named():
    done = python("import hsm; hsm.version()", HSM_LIBRARY="/nonexistent/libhsm.so")
    assert "ImportError" in done.stderr and "/nonexistent/libhsm.so" in done.stderr and "HSM_LIBRARY" in done.stderr


def test_library_is_of_this_version():
    assert hsm.version() == hsm.__version__


def test_digest_is_the_standards():
    # FIPS 180-4, example "abc".
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert hsm.digest(hsm.HASH_SHA256, b"abc").hex() == expected
    assert hsm.digest(hsm.HASH_SHA256, memoryview(bytearray(b"abc"))).hex() == expected


def test_digest_in_parts_and_copied():
    with hsm.Operation(hsm.OPERATION_DIGEST, hsm.Mechanism(0, hash=hsm.HASH_SHA256)) as whole:
        whole.update(b"a")
        with whole.copy() as twin:
            twin.update(b"z")
            whole.update(b"bc")
            assert whole.final() == hsm.digest(hsm.HASH_SHA256, b"abc")
            assert twin.final() == hsm.digest(hsm.HASH_SHA256, b"az")
        with pytest.raises(hsm.OperationNotActive):
            whole.final()


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(hsm.InvalidArgument, match="AES_GCM"):
        hsm.mechanism_by_name("AES_GCN")
    assert hsm.mechanism_by_name("aes-gcm") == hsm.MECHANISM_AES_GCM


def test_curves_by_oid():
    oid = hsm.curve_oid(hsm.CURVE_P256)
    assert oid.hex() == "06082a8648ce3d030107"  # RFC 5480, 2.1.1.1
    assert hsm.curve_by_oid(oid) == hsm.CURVE_P256
    assert hsm.curve_oid(999) is None


def test_settings_are_described_and_read_back():
    names = dict(hsm.settings())
    assert "timeout-ms" in names and all(names.values())
    with hsm.Config.defaults(timeout_ms=1234, nodes=["tls+tcp://a:1", "tls+tcp://b:2"]) as config:
        assert config["timeout-ms"] == "1234"
        assert "tls+tcp://b:2" in config["nodes"]
        with pytest.raises(hsm.ConfigInvalid, match="timeout-ms"):
            config["timeout-mss"] = 5


def test_long_output_is_asked_for_again():
    nodes = [f"tls+tcp://node-{number}.example:7447" for number in range(60)]
    with hsm.Config.defaults(nodes=nodes) as config:
        text = take(hsm._library.lib.hsm_config_get, config._handle, b"nodes", room=16).decode()
        assert text == config["nodes"] and all(node in text for node in nodes)


def test_nodes_that_do_not_answer_are_unavailable(offline):
    with pytest.raises(hsm.Unavailable) as caught:
        offline.ping()
    assert caught.value.detail and caught.value.status == hsm.UNAVAILABLE


def test_errors_survive_pickling():
    error = hsm.ObjectNotFound("no key", "node1", "SIGN")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.detail, copy.node, copy.operation) == (hsm.ObjectNotFound, "no key", "node1", "SIGN")
    assert "node1" in str(copy) and "SIGN" in str(copy)


def test_unknown_status_is_an_error_with_its_number():
    error = hsm.errors.error_of(9999, "from the future")
    assert type(error) is hsm.Error and error.status == 9999


def test_keys_are_values():
    key = hsm.Key(bytes(range(16)))
    assert key == hsm.Key(key.hex()) == pickle.loads(pickle.dumps(key))
    assert len({key, hsm.Key(key.id)}) == 1 and key != hsm.Key(bytes(16))
    with pytest.raises(ValueError):
        hsm.Key(b"short")


def test_closed_handles_are_refused(offline):
    session = offline.session()
    session.close()
    session.close()
    with pytest.raises(hsm.SessionClosed):
        session.random(1)


def test_session_outlives_the_closing_of_its_cluster():
    cluster = hsm.Cluster.endpoint("ipc:///nonexistent/node.sock", hsm.Config.defaults(timeout_ms=200))
    session = cluster.session()
    cluster.close()
    with pytest.raises(hsm.NotLoggedIn):
        session.random(1)
    session.close()


def test_handles_in_a_cycle_are_freed_in_order():
    done = python("""if True:
        import gc, hsm
        for _ in range(200):
            cluster = hsm.Cluster.endpoint("ipc:///nonexistent/node.sock", hsm.Config.defaults())
            session, queue = cluster.session(), cluster.queue()
            cluster.cycle, session.cycle = session, queue
            queue.cycle = cluster
        del cluster, session, queue
        gc.collect()
        import weakref
        assert not [thing for thing in gc.get_objects() if isinstance(thing, (hsm.Session, hsm.Queue))]
        """)
    assert done.returncode == 0, done.stderr


def round_trip(template):
    encoded = attributes.EncodedTemplate(template)
    return {row.type: attributes._decode(row) for row in encoded.array[:encoded.n]}


def test_templates_keep_their_values():
    template = {hsm.ATTR_TOKEN: True, hsm.ATTR_PRIVATE: False, hsm.ATTR_VALUE_LEN: 32, hsm.ATTR_ID: b"\0\1",
                hsm.ATTR_APPLICATION: "größe", hsm.ATTR_ALLOWED_MECHANISMS: [25, 51 | 3 << 16],
                hsm.ATTR_UNWRAP_TEMPLATE: {hsm.ATTR_SIGN: True, hsm.ATTR_VALUE_LEN: 16}, hsm.ATTR_VALUE: b""}
    gc.collect()
    assert round_trip(template) == template


def test_templates_by_name():
    assert round_trip({"label": "tls", "Value-Len": 16}) == {hsm.ATTR_LABEL: b"tls", hsm.ATTR_VALUE_LEN: 16}
    assert hsm.Attributes({hsm.ATTR_LABEL: b"tls"}).by_name() == {"LABEL": b"tls"}


@pytest.mark.parametrize("template", [{hsm.ATTR_TOKEN: "yes"}, {hsm.ATTR_VALUE_LEN: -1}, {hsm.ATTR_VALUE_LEN: 1 << 64},
                                      {hsm.ATTR_ID: 5}, {hsm.ATTR_ALLOWED_MECHANISMS: 5},
                                      {hsm.ATTR_WRAP_TEMPLATE: 5}])
def test_wrong_values_name_the_attribute(template):
    with pytest.raises(hsm.AttributeValueInvalid, match=hsm.attribute_name(next(iter(template)))):
        attributes.EncodedTemplate(template)


def test_unknown_attributes_are_refused():
    with pytest.raises(hsm.AttributeTypeInvalid):
        attributes.EncodedTemplate({9999: 1})


def test_text_with_nul_is_refused(offline):
    with offline.session() as session, pytest.raises(ValueError):
        session.find_one("a\0b")
