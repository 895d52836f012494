"""The structs of the C headers, field by field. A class is named as the C type without hsm_: ClusterInfo is hsm_cluster_info.

A test compares the fields with the headers.
"""
from ctypes import POINTER, Structure, c_char, c_char_p, c_int32, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p

from .constants import BACKUP_NAME_MAX, CERTIFICATE_HASH_LEN, ID_LEN, USER_NAME_MAX


class Key(Structure):
    _fields_ = [
        ("id", c_uint8 * ID_LEN),
    ]


class Buffer(Structure):
    _fields_ = [
        ("data", c_void_p),
        ("len", c_size_t),
    ]


class Error(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("status", c_int32),
        ("detail", c_char_p),
        ("node", c_char_p),
        ("operation", c_char_p),
    ]


class NodeInfo(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("id", c_uint8 * ID_LEN),
        ("name", c_char_p),
        ("address", c_char_p),
        ("zone", c_char_p),
        ("state", c_char_p),
        ("certificate_hash", c_void_p),
        ("certificate_hash_len", c_size_t),
        ("version", c_char_p),
        ("started_ms", c_uint64),
        ("protocol_version", c_uint32),
        ("key_generation", c_uint32),
    ]


class ClusterInfo(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("id", c_uint8 * ID_LEN),
        ("name", c_char_p),
        ("state", c_char_p),
        ("revision", c_uint64),
        ("n_objects", c_uint64),
        ("n_nodes", c_size_t),
        ("nodes", POINTER(POINTER(NodeInfo))),
    ]


class NodeFact(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("value", c_char_p),
    ]


class MechanismInfo(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("mechanism", c_uint32),
        ("uses", c_uint32),
        ("key_bits_min", c_uint32),
        ("key_bits_max", c_uint32),
        ("name", c_char_p),
    ]


class NodeDescription(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("id", c_uint8 * ID_LEN),
        ("name", c_char_p),
        ("address", c_char_p),
        ("zone", c_char_p),
        ("state", c_char_p),
        ("time_ms", c_uint64),
        ("revision", c_uint64),
        ("n_objects", c_uint64),
        ("n_facts", c_size_t),
        ("facts", POINTER(POINTER(NodeFact))),
        ("n_mechanisms", c_size_t),
        ("mechanisms", POINTER(POINTER(MechanismInfo))),
    ]


class NodeStatistics(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("address", c_char_p),
        ("zone", c_char_p),
        ("healthy", c_uint8),
        ("n_requests", c_uint64),
        ("n_failures", c_uint64),
        ("n_messages", c_uint64),
        ("n_outstanding", c_uint64),
        ("latency_us", c_uint64),
        ("node_time_us", c_uint64),
    ]


class Statistics(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("n_requests", c_uint64),
        ("n_retries", c_uint64),
        ("n_failures", c_uint64),
        ("n_nodes", c_size_t),
        ("nodes", POINTER(POINTER(NodeStatistics))),
    ]


class LoginInfo(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("user", c_char * (USER_NAME_MAX + 1)),
        ("role", c_uint32),
        ("expires_ms", c_uint64),
    ]


class UserInfo(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("state", c_char_p),
        ("role", c_uint32),
        ("created_ms", c_uint64),
    ]


class UserList(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("n_users", c_size_t),
        ("users", POINTER(POINTER(UserInfo))),
    ]


class MaskingKeyInfo(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("generation", c_uint32),
        ("phase", c_char * 16),
        ("n_done", c_uint64),
        ("n_total", c_uint64),
        ("retire_ms", c_uint64),
        ("worker_id", c_uint8 * ID_LEN),
        ("n_damaged", c_uint64),
        ("n_given_up", c_uint64),
    ]


class TrustAnchorInfo(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("hash", c_uint8 * CERTIFICATE_HASH_LEN),
        ("name", c_char_p),
        ("until_ms", c_uint64),
    ]


class TrustAnchorList(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("n_anchors", c_size_t),
        ("anchors", POINTER(POINTER(TrustAnchorInfo))),
    ]


class BackupInfo(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char * BACKUP_NAME_MAX),
        ("created_ms", c_uint64),
        ("revision", c_uint64),
        ("n_records", c_uint64),
        ("n_bytes", c_uint64),
    ]


class BackupList(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("n_backups", c_size_t),
        ("backups", POINTER(POINTER(BackupInfo))),
    ]


class QuorumToken(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("id", c_uint8 * ID_LEN),
        ("key", c_uint8 * ID_LEN),
        ("service", c_char_p),
        ("requester", c_char_p),
        ("approvers", c_char_p),
        ("n_uses_left", c_uint64),
        ("expires_ms", c_uint64),
    ]


class QuorumPolicy(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("service", c_char_p),
        ("m", c_uint32),
        ("n_signers", c_uint32),
    ]


class QuorumList(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("n_tokens", c_size_t),
        ("tokens", POINTER(POINTER(QuorumToken))),
        ("n_policies", c_size_t),
        ("policies", POINTER(POINTER(QuorumPolicy))),
    ]


class Attribute(Structure):
    _fields_ = [
        ("type", c_uint32),
        ("value", c_void_p),
        ("value_len", c_size_t),
    ]


class Mechanism(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("type", c_uint32),
        ("hash", c_uint32),
        ("mgf_hash", c_uint32),
        ("salt_len", c_int32),
        ("kdf", c_uint32),
        ("flags", c_uint32),
        ("tag_len", c_uint32),
        ("output_len", c_uint32),
        ("nonce", c_void_p),
        ("nonce_len", c_size_t),
        ("nonce_out", c_void_p),
        ("aad", c_void_p),
        ("aad_len", c_size_t),
        ("shared_info", c_void_p),
        ("shared_info_len", c_size_t),
        ("salt", c_void_p),
        ("salt_value_len", c_size_t),
        ("peer_public", c_void_p),
        ("peer_public_len", c_size_t),
        ("second_key", POINTER(Key)),
        ("data", c_void_p),
        ("data_len", c_size_t),
    ]


class Completion(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("user_data", c_void_p),
        ("status", c_int32),
        ("detail", c_char_p),
        ("node", c_char_p),
        ("output", c_void_p),
        ("output_len", c_size_t),
        ("nonce", c_void_p),
        ("nonce_len", c_size_t),
        ("internal", c_void_p),
    ]


class AuditEntry(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("sequence", c_uint64),
        ("time_ms", c_uint64),
        ("operation", c_char_p),
        ("user", c_char_p),
        ("object", c_uint8 * ID_LEN),
        ("has_object", c_uint8),
        ("status", c_int32),
        ("detail", c_char_p),
        ("hash", c_void_p),
        ("hash_len", c_size_t),
        ("previous_hash", c_void_p),
        ("previous_hash_len", c_size_t),
    ]


class AuditPage(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("n_total", c_uint64),
        ("n_entries", c_size_t),
        ("entries", POINTER(POINTER(AuditEntry))),
    ]
