/* Key references: a file is read or refused, and what was read says the same after it was written and read again. */
#include <stdlib.h>
#include <string.h>
#include "hsm/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(int condition)
{
    if (!condition)
        abort();
}

static void expect_same(const hsm_reference *a, const hsm_reference *b)
{
    size_t a_len, b_len;
    const uint8_t *a_key = hsm_reference_public_key_info(a, &a_len), *b_key = hsm_reference_public_key_info(b, &b_len);

    require(a_len == b_len && memcmp(a_key, b_key, a_len) == 0);
    require(hsm_key_equal(hsm_reference_key(a), hsm_reference_key(b)));
    require(memcmp(hsm_reference_cluster_id(a), hsm_reference_cluster_id(b), HSM_ID_LEN) == 0);
    require(strcmp(hsm_reference_label(a), hsm_reference_label(b)) == 0);
}

static void write_and_read(const hsm_reference *reference, hsm_status (*write)(const hsm_reference *, hsm_buffer *))
{
    hsm_buffer written = {NULL, 0};
    hsm_reference *again = NULL;

    require(write(reference, &written) == HSM_OK);
    require(hsm_reference_parse(written.data, written.len, &again) == HSM_OK);
    expect_same(reference, again);
    hsm_reference_free(again);
    hsm_buffer_free(&written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    hsm_reference *reference = NULL, *copy = NULL;

    if (hsm_reference_parse(data, len, &reference) != HSM_OK) {
        require(reference == NULL);
        return 0;
    }
    require(hsm_reference_copy(reference, &copy) == HSM_OK);
    expect_same(reference, copy);
    write_and_read(reference, hsm_reference_der);
    write_and_read(copy, hsm_reference_pem);
    hsm_reference_free(copy);
    hsm_reference_free(reference);
    return 0;
}
