"""The Python package against the C headers: every constant, status, function, parameter and field is there, and fits.

The headers are read with regular expressions, which rely on their one style. No node is needed.
"""
import ctypes
import re
from pathlib import Path

import pytest

import hsm
from hsm import _prototypes, _structures, constants, errors

ROOT = Path(__file__).resolve().parents[2]
HEADERS = sorted((ROOT / "libhsm/include/hsm").glob("*.h"))
TEXT = re.sub(r"/\*.*?\*/", "", "\n".join(path.read_text() for path in HEADERS), flags=re.S)

# Attributes of an hsm_attributes come as one dict, and Session.cluster is the object itself.
COVERED_OTHERWISE = {"hsm_attributes_find", "hsm_attributes_bool", "hsm_attributes_uint", "hsm_attributes_bytes",
                     "hsm_session_cluster"}

NUMBERS = {"hsm_status": ctypes.c_int32, "size_t": ctypes.c_size_t, "uint8_t": ctypes.c_uint8,
           "uint32_t": ctypes.c_uint32, "uint64_t": ctypes.c_uint64, "int32_t": ctypes.c_int32, "int": ctypes.c_int,
           "char": ctypes.c_char, "void": None}


def header_enumerators():
    return {name: int(value) for body in re.findall(r"\benum \{(.*?)\}", TEXT, flags=re.S)
            for name, value in re.findall(r"HSM_(\w+)\s*=\s*(\d+)", body)}


def header_defines():
    # Continued lines are joined; HSM_API, include guards and initializers have no number.
    joined = TEXT.replace("\\\n", " ")
    return {name: eval(value, {}) for name, value in
            re.findall(r"^#define HSM_(\w+)\s+(\(?-?\d+(?: << \d+)?\)?)\s*$", joined, flags=re.M)}


def header_functions():
    """Name to C types: of the result, then of the parameters."""
    functions = {}
    for result, name, parameters in re.findall(r"^HSM_API ([^;()]*?)(\w+)\(([^;]*?)\);", TEXT, flags=re.M):
        types = [] if parameters == "void" else [re.sub(r"\w+$", "", word.strip()) for word in parameters.split(",")]
        functions[name] = [normal(word) for word in (result, *types)]
    return functions


def header_structs():
    """Struct to its fields: name, C type, array length."""
    structs = {}
    for name, body in re.findall(r"typedef struct (hsm_\w+) \{(.*?)\} \1;", TEXT, flags=re.S):
        declarations = [" ".join(line.split()) for line in body.split(";") if line.strip()]
        fields = [re.fullmatch(r"(.*?)(\w+)(?:\[(.*)\])?", line).groups() for line in declarations]
        structs[name] = [(field, normal(c_type), array) for c_type, field, array in fields]
    return structs


def normal(c_type):
    return re.sub(r"\bconst\b|\s", "", c_type)


def class_of(c_name):
    """The package's class of a struct; None for an opaque one."""
    return getattr(_structures, "".join(word.capitalize() for word in c_name.split("_")[1:]), None)


def fits(c_type, python_type):
    """Whether a ctypes type passes a C type as it must be."""
    base = c_type.rstrip("*")
    depth = len(c_type) - len(base)
    value = NUMBERS[base] if base in NUMBERS else class_of(base)
    if depth == 0:
        return python_type is value
    if base in ("void", "uint8_t") or (value is None and depth == 1):
        return python_type is ctypes.c_void_p
    if base == "char" and depth == 1:
        return python_type in (ctypes.c_char_p, ctypes.c_void_p)
    pointed = ctypes.c_char_p if base == "char" else ctypes.c_void_p if value is None else value
    for _ in range(depth - (value is None or base == "char")):
        pointed = ctypes.POINTER(pointed)
    return python_type is pointed


def test_the_headers_were_read():
    assert len(header_enumerators()) > 200
    assert len(header_functions()) > 100 and TEXT.count("HSM_API ") - len(header_functions()) < 6
    assert len(header_structs()) > 15
    assert {"VERSION_MAJOR", "ID_LEN", "MESSAGE_MAX", "SALT_LEN_HASH"} <= header_defines().keys()


def test_every_constant_has_its_number():
    expected = {**header_enumerators(), **header_defines()}
    assert {name: getattr(constants, name, None) for name in expected} == expected
    assert {name for name in vars(constants) if name.isupper()} == expected.keys()
    assert {name: getattr(hsm, name, None) for name in expected} == expected


def test_the_version_is_that_of_the_headers():
    assert hsm.__version__ == f"{hsm.VERSION_MAJOR}.{hsm.VERSION_MINOR}.{hsm.VERSION_PATCH}"


def test_every_status_has_its_exception():
    names = re.search(r"enum \{\s*HSM_OK.*?\}", TEXT, flags=re.S).group()
    statuses = {name: int(value) for name, value in re.findall(r"HSM_(\w+) = (\d+)", names) if name != "OK"}
    assert len(statuses) > 50
    assert errors.BY_STATUS.keys() == set(statuses.values())
    for name, status in statuses.items():
        error = getattr(hsm, "".join(word.capitalize() for word in name.split("_")))
        assert issubclass(error, hsm.Error) and error.status == status
        assert (hsm.status_name(status), hsm.status_text(status)) == (name, error.text)


def test_every_function_has_its_prototype():
    functions = header_functions()
    assert _prototypes.PROTOTYPES.keys() == functions.keys()
    for name, c_types in functions.items():
        prototype = _prototypes.PROTOTYPES[name]
        assert len(prototype) == len(c_types), name
        for c_type, python_type in zip(c_types, prototype):
            assert fits(c_type, python_type), f"{name}: {c_type} as {python_type}"


def test_every_function_is_used_by_the_package():
    package = Path(hsm.__file__).parent
    source = "\n".join(path.read_text() for path in package.glob("*.py") if path.name != "_prototypes.py")
    unused = {name for name in header_functions() if not re.search(rf"\b{name}\b", source)}
    assert unused == COVERED_OTHERWISE


def test_every_function_is_in_the_library():
    assert all(callable(getattr(hsm._library.lib, name)) for name in header_functions())


@pytest.mark.parametrize("name", header_structs())
def test_every_struct_has_its_fields(name):
    fields = class_of(name)._fields_
    expected = header_structs()[name]
    assert [field for field, *_ in fields] == [field for field, *_ in expected]
    for (field, python_type), (_, c_type, array) in zip(fields, expected):
        if array:
            assert python_type._type_ is NUMBERS[c_type], field
            assert python_type._length_ == eval(array.replace("HSM_", ""), vars(constants).copy()), field
        else:
            assert fits(c_type, python_type), f"{field}: {c_type} as {python_type}"
