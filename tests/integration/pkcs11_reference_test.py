"""The tables of docs/pkcs11.md say what the code does, and nothing stands there that no test shows."""
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "bindings/pkcs11/describe.py"


@pytest.fixture(scope="module")
def describe():
    spec = importlib.util.spec_from_file_location("describe", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_code_says():
    done = subprocess.run([sys.executable, PROGRAM, "--build", os.environ["HSM_BUILD"], "--check", ROOT / "docs/pkcs11.md"],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name, what, test", [
    ("C_Digest", "at once", "no_such_test"),
    ("C_SignRecover", "one request", "nothing_goes_on_that_was_not_begun"),  # which shows it refused
    ("C_SignRecover", "CKR_FUNCTION_NOT_SUPPORTED", "nothing_goes_on_that_was_not_begun"),  # with another error
    ("C_WrapKey", "wraps", "digests_are_those_of_openssl"),
])
def test_what_no_test_shows_is_not_written(describe, name, what, test):
    with pytest.raises(describe.Wrong):
        describe.check_call(name, what, "pkcs11_operation_test.c", test)


def test_functions_and_mechanisms_without_a_test_are_not_written(describe):
    with pytest.raises(describe.Wrong, match="C_New"):
        list(describe.functions_table([*describe.FUNCTIONS, "C_New"]))
    with pytest.raises(describe.Wrong, match="0x4711"):
        list(describe.mechanisms_table([["0x4711", "0", "0", "0", "-", "-"]]))
