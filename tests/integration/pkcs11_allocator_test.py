"""The module in programs that have an allocator of their own and load it with RTLD_DEEPBIND, as OpenSSL's pkcs11-provider does in BIND
and others: what the C library allocates for it comes from theirs, what it frees goes to the C library's."""
import sys

import pytest

from fixture.pkcs11 import MODULE
from fixture.program import library, not_sanitized

PROGRAM = """
import ctypes, os, sys

class Attribute(ctypes.Structure):
    _fields_ = [("type", ctypes.c_ulong), ("value", ctypes.c_char_p), ("length", ctypes.c_ulong)]

path, pin, label = sys.argv[1], *map(os.fsencode, sys.argv[2:])
module = ctypes.CDLL(path, os.RTLD_NOW | os.RTLD_DEEPBIND)
session, objects, n = ctypes.c_ulong(), (ctypes.c_ulong * 8)(), ctypes.c_ulong()
template = Attribute(3, label, len(label))  # CKA_LABEL

def fine(result):
    assert result == 0, hex(result)

fine(module.C_Initialize(None))
fine(module.C_OpenSession(ctypes.c_ulong(0), ctypes.c_ulong(4), None, None, ctypes.byref(session)))
fine(module.C_Login(session, ctypes.c_ulong(1), pin, ctypes.c_ulong(len(pin))))
fine(module.C_FindObjectsInit(session, ctypes.byref(template), ctypes.c_ulong(1)))
fine(module.C_FindObjects(session, objects, ctypes.c_ulong(8), ctypes.byref(n)))
fine(module.C_FindObjectsFinal(session))
assert n.value == 2
fine(module.C_Finalize(None))
"""


@not_sanitized
@pytest.mark.parametrize("configured", ["HSM_CONFIG", "HSM_PKCS11_CLUSTERS"])
def test_the_module_gives_memory_back_where_it_came_from(token, configured):
    token.make_key("pair")
    config = token.environment.pop("HSM_CONFIG")
    token.run(sys.executable, "-c", PROGRAM, MODULE, token.pin, "pair", LD_PRELOAD=str(library("libjemalloc.so.2")),
              **{configured: config})
