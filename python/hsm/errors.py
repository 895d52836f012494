"""Exceptions, one for each status: HSM_OBJECT_NOT_FOUND is ObjectNotFound. All of them are Error.

Each knows the cause as the library tells it (hsm/error.h): `detail` says what, where and what to do, `node` which node
answered or failed, `operation` what was asked of it. A test compares the classes with the headers.
"""
from __future__ import annotations

from . import constants


class Error(Exception):
    """A call of the library failed. Also raised as it is for a status that this package does not know."""

    status: int = -1
    text: str = "unknown status"

    def __init__(self, detail: str = "", node: str = "", operation: str = "") -> None:
        super().__init__(detail, node, operation)
        self.detail = detail
        self.node = node
        self.operation = operation

    def __str__(self) -> str:
        message = f"{self.text}: {self.detail}" if self.detail else self.text
        where = ", ".join(word for word in (self.operation, self.node) if word)
        return f"{message} ({where})" if where else message


class InvalidArgument(Error):
    status, text = constants.INVALID_ARGUMENT, "an argument is not valid"


class BufferTooSmall(Error):
    status, text = constants.BUFFER_TOO_SMALL, "the output buffer is too small"


class OutOfMemory(Error):
    status, text = constants.OUT_OF_MEMORY, "out of memory"


class NotSupported(Error):
    status, text = constants.NOT_SUPPORTED, "not supported by this node's cryptography"


class ProtocolError(Error):
    status, text = constants.PROTOCOL_ERROR, "the message is malformed"


class VersionMismatch(Error):
    status, text = constants.VERSION_MISMATCH, "no common protocol version"


class TooLarge(Error):
    status, text = constants.TOO_LARGE, "larger than the limit"


class Unavailable(Error):
    status, text = constants.UNAVAILABLE, "no node answered in time"


class Busy(Error):
    status, text = constants.BUSY, "the node is too busy or is draining"


class NotLoggedIn(Error):
    status, text = constants.NOT_LOGGED_IN, "login required"


class TicketExpired(Error):
    status, text = constants.TICKET_EXPIRED, "the login has expired or was revoked: log in again"


class LoginFailed(Error):
    status, text = constants.LOGIN_FAILED, "wrong user name or password"


class UserLocked(Error):
    status, text = constants.USER_LOCKED, "too many failed logins: wait, or have an administrator reset the password"


class NotPermitted(Error):
    status, text = constants.NOT_PERMITTED, "not permitted"


class ObjectNotFound(Error):
    status, text = constants.OBJECT_NOT_FOUND, "no such key or object"


class UserNotFound(Error):
    status, text = constants.USER_NOT_FOUND, "no such user"


class AlreadyExists(Error):
    status, text = constants.ALREADY_EXISTS, "already exists"


class Conflict(Error):
    status, text = constants.CONFLICT, "changed by somebody else in the meantime"


class MechanismInvalid(Error):
    status, text = constants.MECHANISM_INVALID, "the mechanism does not fit the operation"


class MechanismParamInvalid(Error):
    status, text = constants.MECHANISM_PARAM_INVALID, "a mechanism parameter is not valid"


class KeyTypeInconsistent(Error):
    status, text = constants.KEY_TYPE_INCONSISTENT, "the mechanism does not fit the key's type"


class KeySizeRange(Error):
    status, text = constants.KEY_SIZE_RANGE, "key size out of range"


class KeyFunctionNotPermitted(Error):
    status, text = constants.KEY_FUNCTION_NOT_PERMITTED, "the key's attributes do not permit this use"


class KeyUnextractable(Error):
    status, text = constants.KEY_UNEXTRACTABLE, "the key is not extractable"


class KeyNotWrappable(Error):
    status, text = constants.KEY_NOT_WRAPPABLE, "the key may be wrapped only by a trusted key"


class AttributeTypeInvalid(Error):
    status, text = constants.ATTRIBUTE_TYPE_INVALID, "the attribute does not apply to this object"


class AttributeValueInvalid(Error):
    status, text = constants.ATTRIBUTE_VALUE_INVALID, "the attribute's value is not valid"


class AttributeReadOnly(Error):
    status, text = constants.ATTRIBUTE_READ_ONLY, "the attribute cannot be set"


class AttributeSensitive(Error):
    status, text = constants.ATTRIBUTE_SENSITIVE, "the attribute is sensitive or unextractable"


class TemplateIncomplete(Error):
    status, text = constants.TEMPLATE_INCOMPLETE, "a required attribute is missing"


class TemplateInconsistent(Error):
    status, text = constants.TEMPLATE_INCONSISTENT, "the attributes contradict each other"


class DataInvalid(Error):
    status, text = constants.DATA_INVALID, "the data is not valid for this mechanism"


class DataLength(Error):
    status, text = constants.DATA_LENGTH, "the data has the wrong length"


class SignatureInvalid(Error):
    status, text = constants.SIGNATURE_INVALID, "the signature does not verify"


class CiphertextInvalid(Error):
    status, text = constants.CIPHERTEXT_INVALID, "the ciphertext or its authentication tag is not valid"


class WrappedKeyInvalid(Error):
    status, text = constants.WRAPPED_KEY_INVALID, "the wrapped key is not valid"


class OperationActive(Error):
    status, text = constants.OPERATION_ACTIVE, "an operation is active already"


class OperationNotActive(Error):
    status, text = constants.OPERATION_NOT_ACTIVE, "no operation is active"


class StoreFull(Error):
    status, text = constants.STORE_FULL, "the store's disk is full"


class StoreLocked(Error):
    status, text = constants.STORE_LOCKED, "the store is locked"


class StoreReadOnly(Error):
    status, text = constants.STORE_READ_ONLY, "the store cannot be written"


class StoreDamaged(Error):
    status, text = constants.STORE_DAMAGED, "the store or one of its records is damaged"


class StoreForeign(Error):
    status, text = constants.STORE_FOREIGN, "the store belongs to another cluster"


class ClusterState(Error):
    status, text = constants.CLUSTER_STATE, "the cluster is not in the state that this needs"


class QuotaExceeded(Error):
    status, text = constants.QUOTA_EXCEEDED, "a quota is exhausted"


class PasswordUnacceptable(Error):
    status, text = constants.PASSWORD_UNACCEPTABLE, "the password does not meet the rules"


class ConfigInvalid(Error):
    status, text = constants.CONFIG_INVALID, "the configuration is not valid"


class IoError(Error):
    status, text = constants.IO_ERROR, "reading or writing failed"


class TlsError(Error):
    status, text = constants.TLS_ERROR, "the TLS connection or a certificate was refused"


class SelfTestFailed(Error):
    status, text = constants.SELF_TEST_FAILED, "a self-test failed: the node has stopped cryptography"


class ClockUntrusted(Error):
    status, text = constants.CLOCK_UNTRUSTED, "the node's clock went back"


class Pending(Error):
    status, text = constants.PENDING, "not finished"


class Cancelled(Error):
    status, text = constants.CANCELLED, "cancelled"


class Internal(Error):
    status, text = constants.INTERNAL, "internal error"


class SessionClosed(Error):
    status, text = constants.SESSION_CLOSED, "the session is closed"


class RandomFailed(Error):
    status, text = constants.RANDOM_FAILED, "the random generator failed"


class StoreUnavailable(Error):
    status, text = constants.STORE_UNAVAILABLE, "the store cannot be reached: existing keys go on working, changes must wait"


class BackupUnavailable(Error):
    status, text = constants.BACKUP_UNAVAILABLE, "this node keeps no backups, or they cannot be reached"


class BackupInvalid(Error):
    status, text = constants.BACKUP_INVALID, "the backup is damaged, cut off, or another's"


class QuorumNeeded(Error):
    status, text = constants.QUORUM_NEEDED, "a quorum must approve this first"


class SecondFactorNeeded(Error):
    status, text = constants.SECOND_FACTOR_NEEDED, "this user logs in with a signed challenge besides the password"


class AuthenticationNeeded(Error):
    status, text = constants.AUTHENTICATION_NEEDED, "the key wants the user's password for each use"


BY_STATUS: dict[int, type[Error]] = {error.status: error for error in Error.__subclasses__()}


def error_of(status: int, detail: str = "", node: str = "", operation: str = "") -> Error:
    """The exception of a status, to be raised."""
    error = BY_STATUS.get(status, Error)(detail, node, operation)
    error.status = status
    return error
