"""Cryptography with keys that stay in the cluster: hsm/crypto.h. Session has these calls; Operation takes data in parts."""
from __future__ import annotations

import ctypes
import dataclasses
from typing import Any, Optional, Union

from . import constants
from ._handle import Handle, Pointer, opened
from ._library import Bytes, as_bytes, check, lib, room_for, take
from ._structures import Key as KeyStruct
from ._structures import Mechanism as MechanismStruct
from .attributes import EncodedTemplate, Template
from .keys import Key, make_key

# Signatures of all but ML-DSA fit the first; ML-DSA-87 has 4627 bytes.
SIGNATURE_ROOM = 1024
# What padding, a tag and a whole block add to data at most; wrapped keys and RSA are asked for anew when longer.
OUTPUT_EXTRA = 1024

_NODE_MAKES_NONCE = (constants.MECHANISM_AES_GCM, constants.MECHANISM_AES_CCM)


@dataclasses.dataclass(frozen=True)
class Mechanism:
    """What is done, with its parameters: hsm_mechanism. constants.py says what each mechanism takes.

    Where a mechanism is expected, its number alone does when it needs no parameters.
    """

    type: int
    hash: int = constants.HASH_NONE
    mgf_hash: int = constants.HASH_NONE
    salt_len: int = constants.SALT_LEN_HASH
    kdf: int = constants.KDF_NULL
    flags: int = 0
    tag_len: int = 0
    output_len: int = 0
    nonce: Optional[Bytes] = None
    aad: Optional[Bytes] = None
    shared_info: Optional[Bytes] = None
    salt: Optional[Bytes] = None
    peer_public: Optional[Bytes] = None
    second_key: Optional[Key] = None
    data: Optional[Bytes] = dataclasses.field(default=None, repr=False)

    def with_nonce(self, nonce: Bytes) -> Mechanism:
        return dataclasses.replace(self, nonce=nonce)

    def _struct(self) -> MechanismStruct:
        """For one call; it refers to what it keeps in `kept`."""
        struct = MechanismStruct(size=ctypes.sizeof(MechanismStruct))
        for name in _NUMBERS:
            setattr(struct, name, getattr(self, name))
        struct.kept = [_refer(struct, name, length, getattr(self, name)) for name, length in _BYTES]
        if self.second_key is not None:
            struct.second_key = ctypes.pointer(KeyStruct.from_buffer_copy(self.second_key.id))
        return struct


_NUMBERS = ("type", "hash", "mgf_hash", "salt_len", "kdf", "flags", "tag_len", "output_len")
_BYTES = (("nonce", "nonce_len"), ("aad", "aad_len"), ("shared_info", "shared_info_len"), ("salt", "salt_value_len"),
          ("peer_public", "peer_public_len"), ("data", "data_len"))

AnyMechanism = Union[Mechanism, int]


def _refer(struct: MechanismStruct, name: str, length: str, value: Optional[Bytes]) -> Optional[bytes]:
    if value is None:
        return None
    data = as_bytes(value)
    setattr(struct, name, ctypes.cast(data, ctypes.c_void_p).value)
    setattr(struct, length, len(data))
    return data


def mechanism_of(mechanism: AnyMechanism) -> Mechanism:
    return mechanism if isinstance(mechanism, Mechanism) else Mechanism(mechanism)


def struct_of(mechanism: AnyMechanism) -> MechanismStruct:
    return mechanism_of(mechanism)._struct()


class Ciphertext(bytes):
    """What encrypt and wrap give: bytes, with the nonce that was given or that the node made (None: there is none)."""

    nonce: Optional[bytes] = None


def _with_nonce_of(mechanism: AnyMechanism, data: Bytes) -> MechanismStruct:
    """A Ciphertext brings its nonce along when the mechanism has none."""
    mechanism = mechanism_of(mechanism)
    if mechanism.nonce is None and isinstance(data, Ciphertext) and data.nonce is not None:
        mechanism = mechanism.with_nonce(data.nonce)
    return mechanism._struct()


class _NonceRoom:
    """Takes the nonce when the node is to make it."""

    def __init__(self, mechanism: Mechanism, struct: MechanismStruct) -> None:
        self._given = None if mechanism.nonce is None else as_bytes(mechanism.nonce)
        self._room = None
        if self._given is None and mechanism.type in _NODE_MAKES_NONCE:
            self._room = (ctypes.c_uint8 * constants.NONCE_MADE_LEN)()
            struct.nonce_out = ctypes.addressof(self._room)

    def nonce(self) -> Optional[bytes]:
        return self._given if self._room is None else bytes(self._room)


def _encrypt(function: Any, handle: Pointer, key: Key, mechanism: AnyMechanism, *data: Any, room: int) -> Ciphertext:
    mechanism = mechanism_of(mechanism)
    struct = mechanism._struct()
    made = _NonceRoom(mechanism, struct)
    out = Ciphertext(take(function, handle, key, struct, *data, room=room))
    out.nonce = made.nonce()
    return out


class CryptoCalls(Handle):
    """The part of Session that uses keys. `data` is any bytes-like object, of any length."""

    def sign(self, key: Key, mechanism: AnyMechanism, data: Bytes) -> bytes:
        """Signs a message, or computes its MAC. ECDSA: r || s."""
        data = as_bytes(data)
        return take(lib.hsm_sign, self._handle, key, struct_of(mechanism), data, len(data), room=SIGNATURE_ROOM)

    def sign_digest(self, key: Key, mechanism: AnyMechanism, digest: Bytes) -> bytes:
        """Signs a digest: RSA_PKCS, RSA_PKCS_PSS, ECDSA."""
        digest = as_bytes(digest)
        return take(lib.hsm_sign_digest, self._handle, key, struct_of(mechanism), digest, len(digest),
                    room=SIGNATURE_ROOM)

    def verify(self, key: Key, mechanism: AnyMechanism, data: Bytes, signature: Bytes) -> None:
        """Verifies what sign makes: returns when it is good, else SignatureInvalid."""
        data, signature = as_bytes(data), as_bytes(signature)
        check(lib.hsm_verify(self._handle, key, struct_of(mechanism), data, len(data), signature, len(signature)))

    def verify_digest(self, key: Key, mechanism: AnyMechanism, digest: Bytes, signature: Bytes) -> None:
        """Verifies what sign_digest makes, as verify does."""
        digest, signature = as_bytes(digest), as_bytes(signature)
        check(lib.hsm_verify_digest(self._handle, key, struct_of(mechanism), digest, len(digest), signature,
                                    len(signature)))

    def verify_recover(self, key: Key, mechanism: AnyMechanism, signature: Bytes) -> bytes:
        """The data that stands in an RSA signature without a hash; SignatureInvalid."""
        signature = as_bytes(signature)
        return take(lib.hsm_verify_recover, self._handle, key, struct_of(mechanism), signature, len(signature))

    def encrypt(self, key: Key, mechanism: AnyMechanism, data: Bytes) -> Ciphertext:
        """Encrypts. AES_GCM and AES_CCM: ciphertext || tag; without a nonce the node makes one: see Ciphertext."""
        data = as_bytes(data)
        return _encrypt(lib.hsm_encrypt, self._handle, key, mechanism, data, len(data), room=len(data) + OUTPUT_EXTRA)

    def decrypt(self, key: Key, mechanism: AnyMechanism, data: Bytes) -> bytes:
        """Decrypts what encrypt makes. The nonce is the mechanism's, else that of the Ciphertext."""
        struct = _with_nonce_of(mechanism, data)
        data = as_bytes(data)
        return take(lib.hsm_decrypt, self._handle, key, struct, data, len(data), room=len(data) + OUTPUT_EXTRA)

    def wrap(self, wrapping_key: Key, mechanism: AnyMechanism, key: Key) -> Ciphertext:
        """Encrypts a key under another."""
        return _encrypt(lib.hsm_wrap, self._handle, wrapping_key, mechanism, key, room=8192)

    def unwrap(self, unwrapping_key: Key, mechanism: AnyMechanism, wrapped: Bytes, attributes: Template) -> Key:
        """Makes a key out of what wrap made; `attributes` with CLASS and KEY_TYPE. The nonce is found as in decrypt."""
        struct, template = _with_nonce_of(mechanism, wrapped), EncodedTemplate(attributes)
        wrapped = as_bytes(wrapped)
        return make_key(lib.hsm_unwrap, self._handle, unwrapping_key, struct, wrapped, len(wrapped), template.array,
                        template.n)

    def derive(self, base_key: Key, mechanism: AnyMechanism, attributes: Template) -> Key:
        """Derives a key: ECDH, HKDF, SP800_108_COUNTER, _FEEDBACK and _DOUBLE_PIPELINE, CONCATENATE, XOR,
        DIGEST_KEY, EXTRACT, AES_ECB_ENCRYPT_DATA and its like."""
        template = EncodedTemplate(attributes)
        return make_key(lib.hsm_derive, self._handle, base_key, struct_of(mechanism), template.array, template.n)

    def encapsulate(self, public_key: Key, mechanism: AnyMechanism, attributes: Template) -> tuple[bytes, Key]:
        """ML-KEM: a ciphertext, and the shared secret that it hides."""
        template, secret = EncodedTemplate(attributes), KeyStruct()
        ciphertext = take(lib.hsm_encapsulate, self._handle, public_key, struct_of(mechanism), template.array,
                          template.n, room=2048, behind=(ctypes.byref(secret),))
        return ciphertext, Key(bytes(secret))

    def decapsulate(self, private_key: Key, mechanism: AnyMechanism, ciphertext: Bytes, attributes: Template) -> Key:
        """ML-KEM: the shared secret out of the ciphertext."""
        template, ciphertext = EncodedTemplate(attributes), as_bytes(ciphertext)
        return make_key(lib.hsm_decapsulate, self._handle, private_key, struct_of(mechanism), ciphertext,
                        len(ciphertext), template.array, template.n)

    def random(self, length: int) -> bytes:
        """Random bytes from a node's generator."""
        room = room_for(length)
        check(lib.hsm_random(self._handle, room, length))
        return ctypes.string_at(room, length)

    def operation(self, kind: int, key: Key, mechanism: AnyMechanism, flags: int = 0) -> Operation:
        """Begins OPERATION_SIGN, ... on data that comes in parts. `flags`: OPERATION_HOLD_PLAINTEXT, _TAG_APART."""
        return Operation(kind, mechanism, flags, session=self, key=key)


def digest(hash: int, data: Bytes) -> bytes:
    """Digest of data, computed here: does not reach the network."""
    data = as_bytes(data)
    return take(lib.hsm_digest, hash, data, len(data), room=256)


class Operation(Handle):
    """An operation whose data comes in parts; used by one thread at a time. No node remembers it.

    Session.operation begins one with a key; Operation(OPERATION_DIGEST, Mechanism(0, hash=...)) needs no session. An
    update or final that raised Unavailable may be repeated; after any other failure it can only be closed.
    """

    def __init__(self, kind: int, mechanism: AnyMechanism, flags: int = 0, session: Optional[CryptoCalls] = None,
                 key: Optional[Key] = None) -> None:
        mechanism = mechanism_of(mechanism)
        struct = mechanism._struct()
        self.kind = kind
        self._made = _NonceRoom(mechanism, struct)
        handle = None if session is None else session._handle
        identifier = None if key is None else ctypes.byref(key._as_parameter_)
        # The nonce's room is filled in by a later call.
        super().__init__(opened(lib.hsm_operation_begin, lib.hsm_operation_free, handle, kind, identifier, struct, flags,
                                keep=(handle, self._made)))

    @property
    def nonce(self) -> Optional[bytes]:
        """The nonce that was given, or that the node made: known once the first part has travelled."""
        return self._made.nonce()

    def update(self, data: Bytes) -> bytes:
        """Takes the next part; gives out what encryption and decryption have ready (b"" for the other kinds).

        AES_GCM decryption: not authenticated until final has returned, unless OPERATION_HOLD_PLAINTEXT was asked for.
        """
        data = as_bytes(data)
        if self.kind in (constants.OPERATION_ENCRYPT, constants.OPERATION_DECRYPT):
            return take(lib.hsm_operation_update, self._handle, data, len(data), room=len(data) + OUTPUT_EXTRA)
        check(lib.hsm_operation_update(self._handle, data, len(data), None, None))
        return b""

    def final(self) -> bytes:
        """Ends it: the signature, MAC or digest, or the last of the ciphertext or plaintext."""
        return take(lib.hsm_operation_final, self._handle)

    def final_verify(self, signature: Bytes) -> None:
        """Ends OPERATION_VERIFY: returns when the signature is good, else SignatureInvalid."""
        signature = as_bytes(signature)
        check(lib.hsm_operation_final_verify(self._handle, signature, len(signature)))

    def final_tag(self, tag: Bytes) -> bytes:
        """Ends an AES_GCM decryption whose tag was kept apart."""
        tag = as_bytes(tag)
        return take(lib.hsm_operation_final_tag, self._handle, tag, len(tag))

    def copy(self) -> Operation:
        """A second operation in the same state, to go on independently."""
        twin = Operation.__new__(Operation)
        twin.kind, twin._made = self.kind, self._made
        handle = self._handle
        Handle.__init__(twin, opened(lib.hsm_operation_copy, lib.hsm_operation_free, handle, keep=handle.keep))
        return twin
