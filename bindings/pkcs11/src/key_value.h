/* What a key's VALUE is made of. The cluster takes and gives keys as PKCS#8 and SubjectPublicKeyInfo; PKCS#11 knows
 * their components, each an attribute. */
#pragma once

#include "attribute.h"
#include "der.h"

/* Puts VALUE into a template of C_CreateObject that has all but the attributes which are parts of it. CKR_OK;
 * CKR_TEMPLATE_INCOMPLETE; CKR_ATTRIBUTE_TYPE_INVALID (a part that such an object does not have);
 * CKR_ATTRIBUTE_VALUE_INVALID; CKR_CURVE_NOT_SUPPORTED; CKR_HOST_MEMORY. */
CK_RV key_value_make(const CK_ATTRIBUTE *given, CK_ULONG n, struct template_made *made);

/* Whether CKA_VALUE, CKA_PRIVATE_EXPONENT, ... are attributes of such an object at all. */
bool key_value_has(uint64_t hsm_class, uint64_t hsm_key_type, CK_ATTRIBUTE_TYPE type);

/* Such an attribute out of VALUE. False when it is not there. */
bool key_value_part(uint64_t hsm_class, uint64_t hsm_key_type, CK_ATTRIBUTE_TYPE type, struct der value,
                    struct der *part);

/* CKA_EC_POINT without the OCTET STRING around it, which some programs leave out. False when it is no point. */
bool key_point(const void *given, size_t given_len, struct der *point);

/* SubjectPublicKeyInfo as it stands in an X.509 certificate. */
bool certificate_public_info(struct der certificate, struct der *info);
