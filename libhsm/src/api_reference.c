/* Key references (hsm/reference.h); their form is reference.c's. */
#include "reference.h"

#include <stdlib.h>
#include "api_cluster.h"
#include "api_object.h"
#include "protocol/catalog.h"

static status_code parse(struct slice data, hsm_reference **reference)
{
    CLEANUP(bytes_release) struct bytes der = BYTES_INIT;

    ARGUMENT(reference, "no place for the key reference");
    ARGUMENT(data.data || data.len == 0, "no data");
    if (reference_is_der(data))
        return reference_decode(data, reference);
    TRY(reference_from_pem(data, &der));
    return reference_decode(bytes_slice(&der), reference);
}

hsm_status hsm_reference_parse(const void *data, size_t len, hsm_reference **reference)
{
    return API(parse(slice_of(data, len), reference));
}

/* --- making --- */

static bool tells_enough(const hsm_attributes *known)
{
    return known && hsm_attributes_find(known, ATTRIBUTE_CLASS) && hsm_attributes_find(known, ATTRIBUTE_TOKEN) &&
           hsm_attributes_find(known, ATTRIBUTE_PUBLIC_KEY_INFO);
}

static status_code make_of(hsm_session *session, const hsm_key *key, const hsm_attributes *facts,
                           hsm_reference **reference)
{
    CLEANUP(bytes_release) struct bytes der = BYTES_INIT;
    uint8_t cluster_id[ID_LEN];
    size_t public_len, label_len;
    const uint8_t *public_key = hsm_attributes_bytes(facts, ATTRIBUTE_PUBLIC_KEY_INFO, &public_len);
    const uint8_t *label = hsm_attributes_bytes(facts, ATTRIBUTE_LABEL, &label_len);

    ARGUMENT(hsm_attributes_uint(facts, ATTRIBUTE_CLASS, 0) == CLASS_PRIVATE_KEY,
             "a key reference names a private key, and this object is none");
    ARGUMENT(hsm_attributes_bool(facts, ATTRIBUTE_TOKEN, false),
             "the key ends with its session: only a token object (TOKEN true) can be referred to");
    CHECK(public_key, STATUS_KEY_TYPE_INCONSISTENT, "the cluster does not know the public key of this private key");
    TRY(cluster_id_get(session_cluster(session), cluster_id));
    TRY(reference_encode(
        &(struct reference_parts){cluster_id, key, slice_of(public_key, public_len), slice_of(label, label_len)},
        &der));
    return reference_decode(bytes_slice(&der), reference);
}

static status_code make(hsm_session *session, const hsm_key *key, const hsm_attributes *known,
                        hsm_reference **reference)
{
    static const uint32_t wanted[] = {ATTRIBUTE_CLASS, ATTRIBUTE_TOKEN, ATTRIBUTE_LABEL, ATTRIBUTE_PUBLIC_KEY_INFO};
    hsm_attributes *asked = NULL;

    ARGUMENT(session && reference, "no session, or no place for the key reference");
    if (tells_enough(known))
        return make_of(session, key, known, reference);
    TRY(api_object_get(session, key, wanted, sizeof(wanted) / sizeof(*wanted), &asked));
    status_code status = make_of(session, key, asked, reference);

    hsm_attributes_free(asked);
    return status;
}

hsm_status hsm_reference_make(hsm_session *session, hsm_key key, const hsm_attributes *known, hsm_reference **reference)
{
    return API(make(session, &key, known, reference));
}

/* --- reading --- */

static status_code copy_of(const hsm_reference *reference, hsm_reference **copy)
{
    ARGUMENT(reference && copy, "no key reference, or no place for its copy");
    return reference_decode(slice_of(reference->bytes, reference->der_len), copy);
}

hsm_status hsm_reference_copy(const hsm_reference *reference, hsm_reference **copy)
{
    return API(copy_of(reference, copy));
}

hsm_key hsm_reference_key(const hsm_reference *reference)
{
    return reference ? reference->key : (hsm_key){{0}};
}

const uint8_t *hsm_reference_cluster_id(const hsm_reference *reference)
{
    return reference ? reference->cluster_id : NULL;
}

const uint8_t *hsm_reference_public_key_info(const hsm_reference *reference, size_t *len)
{
    if (len)
        *len = reference ? reference->public_key_len : 0;
    return reference ? reference->bytes + reference->public_key_at : NULL;
}

const char *hsm_reference_label(const hsm_reference *reference)
{
    return reference ? (const char *)reference->bytes + reference->der_len : "";
}

static status_code give_der(const hsm_reference *reference, hsm_buffer *der)
{
    ARGUMENT(reference && der, "no key reference, or no place for its DER");
    return output_buffer(slice_of(reference->bytes, reference->der_len), der);
}

hsm_status hsm_reference_der(const hsm_reference *reference, hsm_buffer *der)
{
    return API(give_der(reference, der));
}

static status_code give_pem(const hsm_reference *reference, hsm_buffer *pem)
{
    CLEANUP(bytes_release) struct bytes text = BYTES_INIT;

    ARGUMENT(reference && pem, "no key reference, or no place for its PEM");
    TRY(reference_to_pem(slice_of(reference->bytes, reference->der_len), &text));
    return output_buffer(bytes_slice(&text), pem);
}

hsm_status hsm_reference_pem(const hsm_reference *reference, hsm_buffer *pem)
{
    return API(give_pem(reference, pem));
}

void hsm_reference_free(hsm_reference *reference)
{
    free(reference);
}
