/* Encapsulation (FIPS 203): a ciphertext that was changed in whatever way gives another secret, the same one each time
 * and not the right one (implicit rejection, 6.3); what cannot be a ciphertext of the key is refused. Whether both
 * sides agree with OpenSSL, pkcs11_lattice_test.c shows. */
#include "pkcs11_list_3_2.h"
#include "pkcs11_negative.h"

#define TEST       "every_change_of_a_ciphertext_gives_another_secret"
#define SECRET_LEN 32

static const struct row ROWS[] = {{CKM_ML_KEM, "CKM_ML_KEM", KEMS, KEY_ML_KEM, TEST, NULL, 0, false, 800, 1568}};
static const CK_ULONG CIPHERTEXTS[] = {768, 1088, 1568}; /* FIPS 203, table 3, by the numbers of PKCS#11 from 1 on */
#define N_SETS (sizeof(CIPHERTEXTS) / sizeof(CIPHERTEXTS[0]))

#define OPEN_SECRET                                                                                                    \
    TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_GENERIC_SECRET), A_FALSE(CKA_SENSITIVE),  \
             A_TRUE(CKA_EXTRACTABLE))

static void make_pair(CK_ULONG set, CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
    FINE(p11->C_GenerateKeyPair(session, MECHANISM(CKM_ML_KEM_KEY_PAIR_GEN),
                                TEMPLATE(A_NUMBER(CKA_PARAMETER_SET, set), A_TRUE(CKA_ENCAPSULATE)),
                                TEMPLATE(A_TRUE(CKA_DECAPSULATE)), public_key, private_key));
}

static void read_secret(CK_OBJECT_HANDLE key, CK_BYTE secret[SECRET_LEN])
{
    CK_BYTE value[ROOM];

    assert_int_equal(value_of(key, CKA_VALUE, value, sizeof(value)), SECRET_LEN);
    memcpy(secret, value, SECRET_LEN);
    FINE(p11->C_DestroyObject(session, key));
}

static void encapsulate(CK_OBJECT_HANDLE public_key, CK_ULONG len, CK_BYTE *ciphertext, CK_BYTE secret[SECRET_LEN])
{
    CK_ULONG room = ROOM;
    CK_OBJECT_HANDLE key;

    FINE(list_3_2()->encapsulate(session, MECHANISM(CKM_ML_KEM), public_key, OPEN_SECRET, ciphertext, &room, &key));
    assert_int_equal(room, len);
    read_secret(key, secret);
}

static void decapsulate(CK_OBJECT_HANDLE private_key, CK_BYTE *ciphertext, CK_ULONG len, CK_BYTE secret[SECRET_LEN])
{
    CK_OBJECT_HANDLE key;

    FINE(list_3_2()->decapsulate(session, MECHANISM(CKM_ML_KEM), private_key, OPEN_SECRET, ciphertext, len, &key));
    read_secret(key, secret);
}

static void gives_another(CK_OBJECT_HANDLE private_key, CK_BYTE *ciphertext, CK_ULONG len, const CK_BYTE *right)
{
    CK_BYTE one[SECRET_LEN], again[SECRET_LEN];

    decapsulate(private_key, ciphertext, len, one);
    decapsulate(private_key, ciphertext, len, again);
    assert_memory_equal(one, again, SECRET_LEN);
    assert_memory_not_equal(one, right, SECRET_LEN);
}

static void refused_without_lattices(void)
{
    CK_BYTE ciphertext[ROOM];
    CK_ULONG len = sizeof(ciphertext);
    CK_OBJECT_HANDLE key;

    RV(CKR_MECHANISM_INVALID,
       list_3_2()->encapsulate(session, MECHANISM(CKM_ML_KEM), aes_key_of(16), OPEN_SECRET, ciphertext, &len, &key));
}

static void every_change_of_a_ciphertext_gives_another_secret(void **state)
{
    CK_BYTE ciphertext[ROOM], others[ROOM], secret[SECRET_LEN], back[SECRET_LEN];
    CK_OBJECT_HANDLE public_key, private_key;

    (void)state;
    if (!is_offered(&ROWS[0])) {
        refused_without_lattices();
        return;
    }
    for (size_t i = 0; i < N_SETS; i++) {
        CK_ULONG len = CIPHERTEXTS[i];

        make_pair(i + 1, &public_key, &private_key);
        encapsulate(public_key, len, ciphertext, secret);
        decapsulate(private_key, ciphertext, len, back);
        assert_memory_equal(back, secret, SECRET_LEN);
        for (CK_ULONG at = 0; at < len; at += len / 7) {
            ciphertext[at] ^= (CK_BYTE)(1 << (at % 8));
            gives_another(private_key, ciphertext, len, secret);
            ciphertext[at] ^= (CK_BYTE)(1 << (at % 8));
        }
        memset(others, 0, len);
        gives_another(private_key, others, len, secret);
        memset(others, 0xff, len);
        gives_another(private_key, others, len, secret);
        make_pair(i + 1, &public_key, &private_key);
        gives_another(private_key, ciphertext, len, secret);
    }
}

static void ciphertexts_of_another_length_are_refused(void **state)
{
    static const CK_ULONG LENGTHS[] = {0, 1, 31, 32, 767, 768, 769, 1087, 1088, 1089, 1567, 1568, 1569, ROOM};
    CK_OBJECT_HANDLE public_key, private_key, key;
    CK_BYTE ciphertext[ROOM] = {0};

    (void)state;
    if (!is_offered(&ROWS[0])) {
        refused_without_lattices();
        return;
    }
    for (size_t i = 0; i < N_SETS; i++) {
        make_pair(i + 1, &public_key, &private_key);
        for (size_t k = 0; k < sizeof(LENGTHS) / sizeof(LENGTHS[0]); k++)
            ROW_RV(&ROWS[0], LENGTHS[k] == CIPHERTEXTS[i] ? CKR_OK : CKR_WRAPPED_KEY_LEN_RANGE,
                   list_3_2()->decapsulate(session, MECHANISM(CKM_ML_KEM), private_key, OPEN_SECRET, ciphertext,
                                           LENGTHS[k], &key));
    }
}

static const struct CMUnitTest TESTS[] = {
    user_test(every_change_of_a_ciphertext_gives_another_secret),
    user_test(ciphertexts_of_another_length_are_refused),
};

const struct family ENCAPSULATE_FAMILY = FAMILY("encapsulate", ROWS, TESTS, NULL);
