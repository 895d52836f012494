/* Finding objects (PKCS#11 2.40, 5.7). */
#include "pkcs11_fixture.h"

#include <stdio.h>

static void objects_are_found_by_each_thing_that_they_have(void **state)
{
    CK_OBJECT_HANDLE public_key, private_key, aes = aes_key_of(16), found[4];

    (void)state;
    ec_pair(P256, sizeof(P256) - 1, &public_key, &private_key);
    CK_ATTRIBUTE name[] = {A_TEXT(CKA_LABEL, "found by"), A_TEXT(CKA_ID, "\x00\x01\xff")};
    FINE(p11->C_SetAttributeValue(session, public_key, name, 2));
    FINE(p11->C_SetAttributeValue(session, private_key, name, 2));
    FINE(p11->C_SetAttributeValue(session, aes, name, 1));
#define ONE(handle, ...)                                                                                               \
    do {                                                                                                               \
        assert_int_equal(search(session, TEMPLATE(__VA_ARGS__), found, 4), 1);                                         \
        assert_int_equal(found[0], handle);                                                                            \
    } while (0)
    assert_int_equal(search(session, name, 1, found, 4), 3);
    assert_int_equal(search(session, name, 2, found, 4), 2);
    assert_int_equal(search(session, name + 1, 1, found, 4), 2);
    ONE(private_key, A_NUMBER(CKA_CLASS, CKO_PRIVATE_KEY), A_TEXT(CKA_LABEL, "found by"));
    ONE(public_key, A_NUMBER(CKA_CLASS, CKO_PUBLIC_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_EC),
        A_TEXT(CKA_ID, "\x00\x01\xff"));
    ONE(aes, A_NUMBER(CKA_KEY_TYPE, CKK_AES), A_NUMBER(CKA_VALUE_LEN, 16), A_TEXT(CKA_LABEL, "found by"));
    ONE(private_key, A_TRUE(CKA_SIGN), A_TEXT(CKA_ID, "\x00\x01\xff"));
    ONE(aes, A_NUMBER(CKA_KEY_GEN_MECHANISM, CKM_AES_KEY_GEN), A_TEXT(CKA_LABEL, "found by"));
    CK_BYTE id[64], point[128];
    CK_ULONG len = value_of(aes, CKA_UNIQUE_ID, id, sizeof(id));
    ONE(aes, A_BYTES(CKA_UNIQUE_ID, id, len));
    len = value_of(public_key, CKA_EC_POINT, point, sizeof(point));
    ONE(public_key, A_NUMBER(CKA_CLASS, CKO_PUBLIC_KEY), A_BYTES(CKA_EC_POINT, point, len));
#undef ONE
    assert_int_equal(search(session, TEMPLATE(A_TEXT(CKA_LABEL, "found b")), found, 4), 0);
    assert_int_equal(search(session, TEMPLATE(A_TEXT(CKA_LABEL, "found by"), A_TRUE(CKA_TOKEN)), found, 4), 0);
    assert_int_equal(search(session, TEMPLATE(A_TEXT(0x12345678, "?")), found, 4), 0);
    assert_int_equal(search(session, TEMPLATE(A_NUMBER(CKA_CLASS, 0x7777)), found, 4), 0);
    assert_int_equal(search(session, TEMPLATE(A_NUMBER(CKA_KEY_TYPE, 0x7777)), found, 4), 0);
    CK_RV rv = p11->C_FindObjectsInit(session, TEMPLATE(A_BYTES(CKA_TOKEN, id, 3))); /* either is the standard's */
    assert_true(rv == CKR_OK || rv == CKR_ATTRIBUTE_VALUE_INVALID);
}

/* PKCS#11 2.40, 5.7.7: an attribute that an object does not have is none that it matches. */
static void secrets_are_not_found_by_their_value(void **state)
{
    CK_OBJECT_HANDLE found[4], open_key = secret_of(CKK_GENERIC_SECRET, "found by value", 14), closed;

    (void)state;
    FINE(p11->C_CreateObject(session,
                             TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
                                      A_TEXT(CKA_VALUE, "found by value"), A_TRUE(CKA_SENSITIVE)),
                             &closed));
    CK_ULONG n =
        search(session, TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_TEXT(CKA_VALUE, "found by value")), found, 4);
    assert_int_equal(n, 1);
    assert_int_equal(found[0], open_key);
}

static void more_objects_than_a_page_are_each_found_once(void **state)
{
    enum { N = 150 };
    CK_OBJECT_HANDLE made[N], found[N + 10];

    (void)state;
    for (int i = 0; i < N; i++)
        made[i] = labelled_data(i % 2, "many");
    assert_int_equal(search(session, TEMPLATE(A_TEXT(CKA_LABEL, "many")), found, N + 10), N);
    for (int i = 0; i < N; i++) {
        int times = 0;

        for (int k = 0; k < N; k++)
            times += found[k] == made[i];
        assert_int_equal(times, 1);
    }
    assert_int_equal(search(session, TEMPLATE(A_TEXT(CKA_LABEL, "many"), A_TRUE(CKA_TOKEN)), found, N), N / 2);
    CK_ULONG n;
    FINE(p11->C_FindObjectsInit(session, TEMPLATE(A_TEXT(CKA_LABEL, "many"))));
    FINE(p11->C_FindObjects(session, found, N + 10, &n)); /* all at once */
    assert_int_equal(n, N);
    FINE(p11->C_FindObjects(session, found, 1, &n));
    assert_int_equal(n, 0);
    FINE(p11->C_FindObjectsFinal(session));
    for (int i = 0; i < N; i++)
        FINE(p11->C_DestroyObject(session, made[i]));
    assert_int_equal(search(session, TEMPLATE(A_TEXT(CKA_LABEL, "many")), NULL, 0), 0);
}

static void searches_keep_their_order(void **state)
{
    CK_OBJECT_HANDLE found[4];
    CK_ULONG n;

    (void)state;
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_FindObjects(session, found, 4, &n));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_FindObjectsFinal(session));
    FINE(p11->C_FindObjectsInit(session, NULL, 0));
    RV(CKR_OPERATION_ACTIVE, p11->C_FindObjectsInit(session, NULL, 0));
    FINE(p11->C_FindObjects(session, found, 0, &n));
    assert_int_equal(n, 0);
    FINE(p11->C_FindObjectsFinal(session));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_FindObjectsFinal(session));
    RV(CKR_ARGUMENTS_BAD, p11->C_FindObjectsInit(session, TEMPLATE({CKA_LABEL, NULL, 5})));
    FINE(p11->C_FindObjectsInit(session, NULL, 0)); /* the refused one began nothing */
    CK_SESSION_HANDLE other = open_session(0);
    FINE(p11->C_FindObjectsInit(other, NULL, 0)); /* each session has its own */
    FINE(p11->C_CloseSession(other));
}

static void objects_that_are_destroyed_during_a_search_do_no_harm(void **state)
{
    enum { N = 40 };
    CK_OBJECT_HANDLE made[N], found[N];
    CK_ULONG n, total = 0;

    (void)state;
    for (int i = 0; i < N; i++)
        made[i] = labelled_data(CK_FALSE, "vanishing");
    FINE(p11->C_FindObjectsInit(session, TEMPLATE(A_TEXT(CKA_LABEL, "vanishing"))));
    FINE(p11->C_FindObjects(session, found, 5, &n));
    for (int i = 0; i < N; i++)
        FINE(p11->C_DestroyObject(session, made[i]));
    do {
        FINE(p11->C_FindObjects(session, found, 7, &n));
        total += n;
    } while (n > 0);
    assert_true(total <= N);
    FINE(p11->C_FindObjectsFinal(session));
}

static void objects_of_one_session_are_seen_from_the_others(void **state)
{
    CK_OBJECT_HANDLE found[2], object = labelled_data(CK_FALSE, "seen");
    CK_SESSION_HANDLE other = open_session(0);

    (void)state;
    assert_int_equal(search(other, TEMPLATE(A_TEXT(CKA_LABEL, "seen")), found, 2), 1);
    assert_int_equal(found[0], object);
    FINE(p11->C_DestroyObject(other, object));
    RV(CKR_OBJECT_HANDLE_INVALID, ask_for(object, CKA_LABEL));
}

/* The same object has the same handle, however it was come by. */
static void what_another_client_does_is_seen(void **state)
{
    CK_OBJECT_HANDLE found;
    uint64_t class = HSM_CLASS_DATA;
    hsm_key object;
    hsm_attribute template[] = {hsm_attribute_uint(HSM_ATTR_CLASS, &class), hsm_attribute_bool(HSM_ATTR_TOKEN, 1),
                                hsm_attribute_text(HSM_ATTR_LABEL, "of another"),
                                hsm_attribute_text(HSM_ATTR_VALUE, "x")};

    (void)state;
    OK(hsm_object_create(world->user, template, 4, &object));
    assert_int_equal(search(session, TEMPLATE(A_TEXT(CKA_LABEL, "of another")), &found, 1), 1);
    FINE(ask_for(found, CKA_LABEL));
    OK(hsm_object_delete(world->user, object));
    assert_int_equal(search(session, TEMPLATE(A_TEXT(CKA_LABEL, "of another")), NULL, 0), 0);
    RV(CKR_OBJECT_HANDLE_INVALID, ask_for(found, CKA_VALUE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        user_test(objects_are_found_by_each_thing_that_they_have),
        user_test(secrets_are_not_found_by_their_value),
        user_test(more_objects_than_a_page_are_each_found_once),
        user_test(searches_keep_their_order),
        user_test(objects_that_are_destroyed_during_a_search_do_no_harm),
        user_test(objects_of_one_session_are_seen_from_the_others),
        user_test(what_another_client_does_is_seen),
    };
    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}
