/* The table of attributes: which there are, what each is to the cluster, what its value looks like, where it may be
 * given, and what an object has that was made without it. Templates are made by it (template.c), and values given by
 * it (attribute_give.c). */
#pragma once

#include "attribute.h"
#include "cryptoki_later.h"

/* PKCS#11 2.40 and 3.0, as far as the header does not have them. */
#ifndef CKA_UNIQUE_ID
#define CKA_UNIQUE_ID 0x00000004UL
#endif
#ifndef CKA_NAME_HASH_ALGORITHM
#define CKA_NAME_HASH_ALGORITHM 0x0000008CUL
#endif

enum value_kind {
    KIND_BOOL,
    KIND_ULONG,
    KIND_BYTES,
    KIND_INTEGER, /* big-endian: zeros in front do not count */
    KIND_DATE,    /* CK_DATE is the eight digits that the cluster takes */
    KIND_CLASS,
    KIND_KEY_TYPE,
    KIND_MECHANISM,
    KIND_MECHANISMS,
    KIND_TEMPLATE,
    KIND_CURVE,
    KIND_POINT,
    KIND_PARAMETER_SET,
    KIND_PUBLIC_INFO, /* bytes, and of a certificate what stands in it */
    KIND_VALUE,       /* CKA_VALUE, and what else only the object's VALUE holds */
    KIND_CONSTANT,    /* not kept: it has its default, always */
    KINDS
};

enum attribute_default {
    DEFAULT_NONE, /* an object without it does not have the attribute */
    DEFAULT_EMPTY,
    DEFAULT_NUMBER,
};

struct attribute_row {
    CK_ATTRIBUTE_TYPE type;
    uint32_t hsm; /* HSM_ATTR_...; 0: the cluster has no such attribute */
    uint8_t kind;
    uint8_t given_in;     /* a bit for each template_use where it may stand; everything may be looked for */
    uint8_t is_part : 1;  /* C_CreateObject puts it into VALUE (key_value.c) */
    uint8_t is_claim : 1; /* C_CreateObject compares it with what the object turned out to have */
    uint8_t has;          /* a bit for each class whose objects have the default when they have no value */
    uint8_t otherwise;    /* DEFAULT_... */
    CK_ULONG number;      /* of DEFAULT_NUMBER */
};

/* NULL when there is none. */
const struct attribute_row *attribute_row(CK_ATTRIBUTE_TYPE type);
const struct attribute_row *attribute_row_of(uint32_t hsm);

/* Place of a row in the table, below ATTRIBUTE_ROWS_MAX. */
#define ATTRIBUTE_ROWS_MAX 96
size_t attribute_row_index(const struct attribute_row *row);

/* Whether a value is as long as its kind can be; then whether it is the row's default. */
bool attribute_len_fits(const struct attribute_row *row, const CK_ATTRIBUTE *given);
bool attribute_is_default(const struct attribute_row *row, const CK_ATTRIBUTE *given);

/* The curve of CKA_EC_PARAMS, in any of the forms that programs use; 0. */
uint32_t curve_of_params(const void *params, size_t params_len);

/* Parameter sets: the standard counts them from 1 by key type. 0 or CK_UNAVAILABLE_INFORMATION when there is none. */
uint64_t hsm_parameter_set_of(uint32_t hsm_key_type, CK_ULONG parameter_set);
CK_ULONG parameter_set_of(uint64_t hsm_parameter_set);

/* A CK_ULONG that may lie anywhere. */
CK_ULONG ulong_at(const void *value);
