/* Buffers and parts: the same memory for input and output, too little of it, results that wait, much data; and two
 * operations at once (PKCS#11 2.40, 5.2 and 5.12). */
#include "pkcs11_fixture.h"

#define ROOM RESULT_ROOM

static CK_BYTE IV[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static CK_BYTE plain[48] = "forty-eight bytes: three whole blocks of sixteen";

/* The length of what came out. */
static CK_ULONG encrypt(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const CK_BYTE *data, CK_ULONG len, CK_BYTE *out)
{
    CK_ULONG out_len;

    FINE(encrypt_at_once(mechanism, key, data, len, out, &out_len));
    return out_len;
}

static void encryption_may_happen_in_place(void **state)
{
    CK_BYTE nonce[12] = "twelve bytes", buffer[ROOM], expected[ROOM];
    CK_GCM_PARAMS_V3 gcm = {nonce, 12, 96, NULL, 0, 128};
    CK_AES_CTR_PARAMS counter = {128, {0}};
    CK_MECHANISM mechanisms[] = {{CKM_AES_ECB, NULL, 0},
                                 {CKM_AES_CBC_PAD, IV, 16},
                                 {CKM_AES_CTR, &counter, sizeof(counter)},
                                 {CKM_AES_GCM, &gcm, sizeof(gcm)}};
    CK_OBJECT_HANDLE key = aes_key_of(32);

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        CK_ULONG n = encrypt(&mechanisms[i], key, plain, 48, expected), len = ROOM;

        memcpy(buffer, plain, 48);
        FINE(p11->C_EncryptInit(session, &mechanisms[i], key));
        FINE(p11->C_Encrypt(session, buffer, 48, buffer, &len));
        assert_int_equal(len, n);
        assert_memory_equal(buffer, expected, n);
        len = ROOM;
        FINE(p11->C_DecryptInit(session, &mechanisms[i], key));
        FINE(p11->C_Decrypt(session, buffer, n, buffer, &len));
        assert_int_equal(len, 48);
        assert_memory_equal(buffer, plain, 48);
        len = ROOM;
        FINE(p11->C_EncryptInit(session, &mechanisms[i], key));
        FINE(p11->C_EncryptUpdate(session, buffer, 48, buffer, &len));
        CK_ULONG rest = ROOM - len;
        FINE(p11->C_EncryptFinal(session, buffer + len, &rest));
        assert_int_equal(len + rest, n);
        assert_memory_equal(buffer, expected, n);
    }
}

/* A caller that knows that there is room enough may claim more than there can be. */
static void overlapping_buffers_are_told_apart_however_much_room_is_claimed(void **state)
{
    static const size_t FROM[] = {0, 5, 0, 16}, TO[] = {0, 0, 5, 0};
    CK_BYTE expected[ROOM], buffer[ROOM];
    CK_OBJECT_HANDLE key = aes_key_of(16);
    CK_MECHANISM *cbc = MECHANISM_OF(CKM_AES_CBC, IV, 16);

    (void)state;
    (void)encrypt(cbc, key, plain, 48, expected);
    for (size_t i = 0; i < 4; i++) {
        CK_ULONG len = (CK_ULONG)-1, n = (CK_ULONG)-1;

        memcpy(buffer + FROM[i], plain, 48);
        FINE(p11->C_EncryptInit(session, cbc, key));
        FINE(p11->C_EncryptUpdate(session, buffer + FROM[i], 48, buffer + TO[i], &len));
        FINE(p11->C_EncryptFinal(session, buffer + TO[i] + len, &n));
        assert_int_equal(len + n, 48);
        assert_memory_equal(buffer + TO[i], expected, 48);
        memcpy(buffer + FROM[i], plain, 48);
        FINE(p11->C_EncryptInit(session, cbc, key));
        n = (CK_ULONG)-1;
        FINE(p11->C_Encrypt(session, buffer + FROM[i], 48, buffer + TO[i], &n));
        assert_int_equal(n, 48);
        assert_memory_equal(buffer + TO[i], expected, 48);
    }
}

static void a_buffer_that_is_too_small_leaves_the_operation_active(void **state)
{
    CK_BYTE nonce[12] = "twelve bytes", out[ROOM], back[ROOM];
    CK_GCM_PARAMS_V3 gcm = {nonce, 12, 96, NULL, 0, 128};
    CK_MECHANISM mechanisms[] = {{CKM_AES_CBC_PAD, IV, 16}, {CKM_AES_GCM, &gcm, sizeof(gcm)}};
    CK_OBJECT_HANDLE key = aes_key_of(32);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        CK_ULONG len = 0;

        FINE(p11->C_EncryptInit(session, &mechanisms[i], key));
        FINE(p11->C_Encrypt(session, plain, 40, NULL, &len));
        CK_ULONG needed = len--;
        RV(CKR_BUFFER_TOO_SMALL, p11->C_Encrypt(session, plain, 40, out, &len));
        assert_int_equal(len, needed);
        FINE(p11->C_Encrypt(session, plain, 40, out, &len));
        assert_int_equal(len, needed);
        FINE(p11->C_DecryptInit(session, &mechanisms[i], key));
        len = 0;
        RV(CKR_BUFFER_TOO_SMALL, p11->C_Decrypt(session, out, needed, back, &len));
        assert_true(len >= 40);
        FINE(p11->C_Decrypt(session, out, needed, back, &len));
        assert_int_equal(len, 40);
        assert_memory_equal(back, plain, 40);
    }
    FINE(p11->C_EncryptInit(session, MECHANISM_OF(CKM_AES_CBC, IV, 16), key));
    CK_ULONG len = 31;
    RV(CKR_BUFFER_TOO_SMALL, p11->C_EncryptUpdate(session, plain, 32, out, &len));
    assert_true(len >= 32);
    len = ROOM;
    FINE(p11->C_EncryptUpdate(session, plain, 32, out, &len));
    CK_ULONG rest = ROOM;
    FINE(p11->C_EncryptFinal(session, out + len, &rest));
    assert_int_equal(len + rest, 32);
}

static void rules_of_parts_hold_for_ciphers(void **state)
{
    CK_OBJECT_HANDLE key = aes_key_of(32);
    CK_BYTE out[ROOM];
    CK_ULONG len = ROOM;

    (void)state;
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_Encrypt(session, plain, 16, out, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_EncryptUpdate(session, plain, 16, out, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_EncryptFinal(session, out, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_DecryptFinal(session, out, &len));
    FINE(p11->C_EncryptInit(session, MECHANISM(CKM_AES_ECB), key));
    RV(CKR_OPERATION_ACTIVE, p11->C_EncryptInit(session, MECHANISM(CKM_AES_ECB), key));
    FINE(p11->C_EncryptUpdate(session, plain, 16, out, &len));
    len = ROOM;
    RV(CKR_OPERATION_ACTIVE, p11->C_Encrypt(session, plain, 16, out, &len));
    FINE(p11->C_EncryptFinal(session, out, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_EncryptFinal(session, out, &len));
    FINE(p11->C_EncryptInit(session, MECHANISM(CKM_AES_ECB), key));
    FINE(p11->C_EncryptInit(session, NULL, 0));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_Encrypt(session, plain, 16, out, &len));
}

static void a_result_that_waits_is_given_for_its_own_data_alone(void **state)
{
    static CK_BYTE iv[16];
    CK_OBJECT_HANDLE key = aes_key_of(32);
    CK_MECHANISM *cbc = MECHANISM_OF(CKM_AES_CBC_PAD, iv, sizeof(iv));
    CK_BYTE first[32], second[32], out[32];
    CK_ULONG first_len = sizeof(first), second_len = sizeof(second), len = 1;

    (void)state;
    FINE(p11->C_EncryptInit(session, cbc, key));
    FINE(p11->C_Encrypt(session, TEXT("the first"), first, &first_len));
    FINE(p11->C_EncryptInit(session, cbc, key));
    FINE(p11->C_Encrypt(session, TEXT("another"), second, &second_len));
    FINE(p11->C_DecryptInit(session, cbc, key));
    RV(CKR_BUFFER_TOO_SMALL, p11->C_Decrypt(session, first, first_len, out, &len));
    assert_int_equal(len, 9);
    len = sizeof(out);
    FINE(p11->C_Decrypt(session, second, second_len, out, &len));
    assert_int_equal(len, 7);
    assert_memory_equal(out, "another", 7);
}

static void large_data_is_encrypted_at_once_and_in_parts(void **state)
{
    enum { LEN = 3 << 20 };
    CK_BYTE *data = malloc(LEN), *out = malloc(LEN + 32), *back = malloc(LEN + 32), nonce[12] = "twelve bytes";
    CK_GCM_PARAMS_V3 gcm = {nonce, 12, 96, NULL, 0, 128};
    CK_MECHANISM mechanisms[] = {{CKM_AES_CBC_PAD, IV, 16}, {CKM_AES_GCM, &gcm, sizeof(gcm)}};
    CK_OBJECT_HANDLE key = aes_key_of(32);

    (void)state;
    for (size_t i = 0; i < LEN; i++)
        data[i] = (CK_BYTE)(i * 7 + i / 251);
    for (size_t i = 0; i < 2; i++) {
        CK_ULONG len = LEN + 32, n, total = 0;

        FINE(p11->C_EncryptInit(session, &mechanisms[i], key));
        FINE(p11->C_Encrypt(session, data, LEN, out, &len));
        assert_int_equal(len, LEN + 16);
        n = LEN + 32;
        FINE(p11->C_DecryptInit(session, &mechanisms[i], key));
        FINE(p11->C_Decrypt(session, out, len, back, &n));
        assert_int_equal(n, LEN);
        assert_memory_equal(back, data, LEN);
        FINE(p11->C_EncryptInit(session, &mechanisms[i], key));
        for (CK_ULONG at = 0; at < LEN; at += 1000000) {
            n = LEN + 32 - total;
            FINE(p11->C_EncryptUpdate(session, data + at, LEN - at < 1000000 ? LEN - at : 1000000, back + total, &n));
            total += n;
        }
        n = LEN + 32 - total;
        FINE(p11->C_EncryptFinal(session, back + total, &n));
        assert_int_equal(total + n, len);
        assert_memory_equal(back, out, len);
    }
    free(data);
    free(out);
    free(back);
}

/* --- two at once --- */

static void dual_functions_do_both(void **state)
{
    CK_OBJECT_HANDLE key = aes_key_of(16), mac_key = aes_key_of(16);
    CK_MECHANISM *cbc = MECHANISM_OF(CKM_AES_CBC, IV, 16), *cmac = MECHANISM(CKM_AES_CMAC),
                 *sha = MECHANISM(CKM_SHA256);
    CK_BYTE out[ROOM], whole[ROOM], back[ROOM], digest[32], expected[32], mac[16], other[16];
    CK_ULONG n = 0, len = ROOM, digest_len = 32, mac_len = 16;

    (void)state;
    (void)encrypt(cbc, key, plain, 48, whole);
    assert_true(EVP_Q_digest(NULL, "SHA256", NULL, plain, 48, expected, NULL));
    FINE(p11->C_EncryptInit(session, cbc, key));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_DigestEncryptUpdate(session, plain, 16, out, &len));
    FINE(p11->C_SessionCancel(session, CKF_ENCRYPT));
    FINE(p11->C_EncryptInit(session, cbc, key));
    FINE(p11->C_DigestInit(session, sha));
    FINE(p11->C_DigestEncryptUpdate(session, plain, 20, NULL, &len)); /* hashes nothing yet */
    for (CK_ULONG at = 0; at < 48; at += 24) {
        len = ROOM - n;
        FINE(p11->C_DigestEncryptUpdate(session, plain + at, 24, out + n, &len));
        n += len;
    }
    len = ROOM - n;
    FINE(p11->C_EncryptFinal(session, out + n, &len));
    FINE(p11->C_DigestFinal(session, digest, &digest_len));
    assert_int_equal(n + len, 48);
    assert_memory_equal(out, whole, 48);
    assert_memory_equal(digest, expected, 32);

    FINE(p11->C_DecryptInit(session, cbc, key));
    FINE(p11->C_DigestInit(session, sha));
    len = 1;
    RV(CKR_BUFFER_TOO_SMALL, p11->C_DecryptDigestUpdate(session, out, 48, back, &len));
    len = ROOM;
    FINE(p11->C_DecryptDigestUpdate(session, out, 48, back, &len));
    n = ROOM - len;
    FINE(p11->C_DecryptFinal(session, back + len, &n));
    assert_int_equal(len + n, 48);
    assert_memory_equal(back, plain, 48);
    FINE(p11->C_DigestUpdate(session, back + len, n)); /* PKCS#11 2.40, 5.12.2: what the last call gave */
    FINE(p11->C_DigestFinal(session, digest, &digest_len));
    assert_memory_equal(digest, expected, 32);

    FINE(p11->C_EncryptInit(session, cbc, key));
    FINE(p11->C_SignInit(session, cmac, mac_key));
    len = ROOM;
    FINE(p11->C_SignEncryptUpdate(session, plain, 48, out, &len));
    n = ROOM - len;
    FINE(p11->C_EncryptFinal(session, out + len, &n));
    FINE(p11->C_SignFinal(session, mac, &mac_len));
    assert_memory_equal(out, whole, 48);
    FINE(p11->C_SignInit(session, cmac, mac_key));
    FINE(p11->C_Sign(session, plain, 48, other, &mac_len));
    assert_memory_equal(mac, other, 16);

    FINE(p11->C_DecryptInit(session, cbc, key));
    FINE(p11->C_VerifyInit(session, cmac, mac_key));
    len = ROOM;
    FINE(p11->C_DecryptVerifyUpdate(session, out, 48, back, &len));
    n = ROOM - len;
    FINE(p11->C_DecryptFinal(session, back + len, &n));
    FINE(p11->C_VerifyUpdate(session, back + len, n));
    FINE(p11->C_VerifyFinal(session, mac, 16));
}

static void what_is_encrypted_in_place_is_digested_before(void **state)
{
    static CK_BYTE counter[16];
    CK_AES_CTR_PARAMS params = {.ulCounterBits = 128};
    CK_OBJECT_HANDLE key = aes_key_of(32);
    CK_BYTE text[16] = "in its own place", digest[32], expected[32];
    CK_ULONG len = sizeof(text), digest_len = sizeof(digest), last_len = 0, expected_len = sizeof(expected);

    (void)state;
    memcpy(params.cb, counter, sizeof(counter));
    FINE(p11->C_DigestInit(session, MECHANISM(CKM_SHA256)));
    FINE(p11->C_Digest(session, text, sizeof(text), expected, &expected_len));
    FINE(p11->C_DigestInit(session, MECHANISM(CKM_SHA256)));
    FINE(p11->C_EncryptInit(session, MECHANISM_WITH(CKM_AES_CTR, params), key));
    FINE(p11->C_DigestEncryptUpdate(session, text, sizeof(text), text, &len));
    FINE(p11->C_DigestFinal(session, digest, &digest_len));
    assert_memory_equal(digest, expected, sizeof(expected));
    FINE(p11->C_EncryptFinal(session, text, &last_len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        user_test(encryption_may_happen_in_place),
        user_test(overlapping_buffers_are_told_apart_however_much_room_is_claimed),
        user_test(a_buffer_that_is_too_small_leaves_the_operation_active),
        user_test(rules_of_parts_hold_for_ciphers),
        user_test(a_result_that_waits_is_given_for_its_own_data_alone),
        user_test(large_data_is_encrypted_at_once_and_in_parts),
        user_test(dual_functions_do_both),
        user_test(what_is_encrypted_in_place_is_digested_before),
    };
    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}
