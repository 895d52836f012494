"""Objects: keys, certificates and data: hsm/object.h. Session has these calls."""
from __future__ import annotations

import ctypes
from typing import Any, Callable, Iterable, Iterator, Optional, Union

from . import constants
from ._handle import Handle, Pointer, opened
from ._library import Bytes, as_id, as_text, check, lib, take
from ._structures import Key as KeyStruct
from .attributes import Attributes, EncodedTemplate, Template, encode_wanted, read_attributes

PAGE = 64


class Key:
    """An object's permanent id: a value that can be compared, hashed, stored, and passed to other processes."""

    __slots__ = ("id", "_as_parameter_")

    def __init__(self, identifier: Union[Bytes, str]) -> None:
        """`identifier`: ID_LEN bytes, or hexadecimal digits as ATTR_UNIQUE_ID has them."""
        self.id = as_id(bytes.fromhex(identifier) if isinstance(identifier, str) else identifier)
        self._as_parameter_ = KeyStruct.from_buffer_copy(self.id)

    def hex(self) -> str:
        return self.id.hex()

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, Key) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"Key('{self.hex()}')"

    def __reduce__(self) -> tuple:
        return Key, (self.id,)


def make_key(function: Callable[..., int], *arguments: Any) -> Key:
    """Calls a function whose last out-parameter is a key."""
    key = KeyStruct()
    check(function(*arguments, ctypes.byref(key)))
    return Key(bytes(key))


def make_pair(function: Callable[..., int], *arguments: Any) -> tuple[Key, Key]:
    public, private = KeyStruct(), KeyStruct()
    check(function(*arguments, ctypes.byref(public), ctypes.byref(private)))
    return Key(bytes(public)), Key(bytes(private))


class ObjectCalls(Handle):
    """The part of Session that makes, reads, changes and finds objects."""

    def key_generate(self, mechanism: int, attributes: Template) -> Key:
        """Makes a secret key: MECHANISM_AES_KEY_GEN, _DES3_KEY_GEN or _GENERIC_SECRET_KEY_GEN."""
        template = EncodedTemplate(attributes)
        return make_key(lib.hsm_key_generate, self._handle, mechanism, template.array, template.n)

    def key_pair_generate(self, mechanism: int, public_attributes: Template,
                          private_attributes: Template) -> tuple[Key, Key]:
        """Makes a public and its private key: MECHANISM_..._KEY_PAIR_GEN."""
        public, private = EncodedTemplate(public_attributes), EncodedTemplate(private_attributes)
        return make_pair(lib.hsm_key_pair_generate, self._handle, mechanism, public.array, public.n, private.array,
                         private.n)

    def key_generate_aes(self, label: str, bits: int = 256) -> Key:
        """The usual AES key: token object, not extractable, to encrypt, wrap and sign."""
        return make_key(lib.hsm_key_generate_aes, self._handle, as_text(label), bits)

    def key_pair_generate_rsa(self, label: str, bits: int = 2048) -> tuple[Key, Key]:
        """The usual RSA pair, public and private: to sign, encrypt and wrap."""
        return make_pair(lib.hsm_key_pair_generate_rsa, self._handle, as_text(label), bits)

    def key_pair_generate_ec(self, label: str, curve: int = constants.CURVE_P256) -> tuple[Key, Key]:
        """The usual pair on CURVE_..., public and private: to sign, derive, or both, as the curve can."""
        return make_pair(lib.hsm_key_pair_generate_ec, self._handle, as_text(label), curve)

    def object_create(self, attributes: Template) -> Key:
        """Imports a key, a certificate or data: CLASS, VALUE, and for keys KEY_TYPE."""
        template = EncodedTemplate(attributes)
        return make_key(lib.hsm_object_create, self._handle, template.array, template.n)

    def object_copy(self, key: Key, changes: Template) -> Key:
        """Copies an object, with changes in the safe direction."""
        template = EncodedTemplate(changes)
        return make_key(lib.hsm_object_copy, self._handle, key, template.array, template.n)

    def object_get(self, key: Key, wanted: Iterable[Union[int, str]] = ()) -> Attributes:
        """Reads attributes, all in one round trip; nothing wanted: all that are not secret."""
        pointer = opened(lib.hsm_object_get, lib.hsm_attributes_free, self._handle, key, *encode_wanted(wanted))
        return read_attributes(pointer)

    def object_set(self, key: Key, attributes: Template) -> None:
        """Changes attributes, all or none."""
        template = EncodedTemplate(attributes)
        check(lib.hsm_object_set(self._handle, key, template.array, template.n))

    def object_delete(self, key: Key) -> None:
        """Destroys an object on all nodes. The two keys of a pair are two objects."""
        check(lib.hsm_object_delete(self._handle, key))

    def key_share(self, key: Key, user: str) -> None:
        """Lets another crypto-user use a token key."""
        check(lib.hsm_key_share(self._handle, key, as_text(user)))

    def key_unshare(self, key: Key, user: str) -> None:
        check(lib.hsm_key_unshare(self._handle, key, as_text(user)))

    def key_export_public(self, key: Key) -> bytes:
        """The public key of a public or private key: SubjectPublicKeyInfo DER."""
        return take(lib.hsm_key_export_public, self._handle, key)

    def find(self, attributes: Optional[Template] = None) -> Iterator[Key]:
        """Objects whose attributes equal all the given ones; without any, all that the user may see."""
        find = self._find_open(attributes, [constants.ATTR_CLASS])
        while page := _next_page(find, None):
            yield from page

    def find_attributes(self, attributes: Optional[Template] = None,
                        wanted: Iterable[Union[int, str]] = ()) -> Iterator[tuple[Key, Attributes]]:
        """As find, with the wanted attributes of each (none: all that are not secret); needs no further calls."""
        find = self._find_open(attributes, wanted)
        sets = (ctypes.c_void_p * PAGE)()
        while page := _next_page(find, sets):
            yield from zip(page, _take_sets(sets, len(page)))

    def _find_open(self, attributes: Optional[Template], wanted: Iterable[Union[int, str]]) -> Pointer:
        template = EncodedTemplate(attributes)
        session = self._handle
        return opened(lib.hsm_find_open, lib.hsm_find_close, session, template.array, template.n,
                      *encode_wanted(wanted), keep=(session,))

    def find_one(self, label: str, object_class: int = 0) -> Key:
        """The one object with this label: of CLASS_..., or of any. ObjectNotFound; Conflict when there are several."""
        return make_key(lib.hsm_find_one, self._handle, object_class, as_text(label))


def _next_page(find: Pointer, sets: Optional[ctypes.Array]) -> list[Key]:
    keys, n = (KeyStruct * PAGE)(), ctypes.c_size_t()
    check(lib.hsm_find_next(find, keys, sets, PAGE, ctypes.byref(n)))
    return [Key(bytes(keys[i])) for i in range(n.value)]


def _take_sets(sets: ctypes.Array, n: int) -> list[Attributes]:
    pointers = []
    for i in range(n):
        pointer = Pointer(sets[i])
        pointer.free = lib.hsm_attributes_free
        pointers.append(pointer)
    return [read_attributes(pointer) for pointer in pointers]
