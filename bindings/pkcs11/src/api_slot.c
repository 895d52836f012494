/* What the module, its slots and their tokens say of themselves. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "login.h"
#include "session.h"

#define MAKER "libhsm"

/* Text fields of the standard: of fixed length, filled with blanks, without a NUL (PKCS#11 2.40, 3.1). */
static void put_text(CK_UTF8CHAR *field, size_t field_len, const char *text)
{
    size_t len = strlen(text);

    if (len > field_len)
        for (len = field_len; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80;)
            len--; /* not within a character */
    memset(field, ' ', field_len);
    memcpy(field, text, len);
}

#define PUT_TEXT(field, text) put_text((field), sizeof(field), (text))

static void put_version(CK_VERSION *version)
{
    version->major = HSM_VERSION_MAJOR;
    version->minor = HSM_VERSION_MINOR;
}

static CK_RV give_info(CK_INFO_PTR pInfo, CK_VERSION version)
{
    TRY(module_check());
    CHECK(pInfo, CKR_ARGUMENTS_BAD);
    *pInfo = (CK_INFO){.cryptokiVersion = version};
    PUT_TEXT(pInfo->manufacturerID, MAKER);
    PUT_TEXT(pInfo->libraryDescription, "libhsm PKCS#11 module");
    put_version(&pInfo->libraryVersion);
    return CKR_OK;
}

CK_RV C_GetInfo(CK_INFO_PTR pInfo)
{
    return give_info(pInfo, (CK_VERSION){2, 40});
}

CK_RV get_info_3_0(CK_INFO_PTR pInfo)
{
    return give_info(pInfo, (CK_VERSION){3, 0});
}

CK_RV get_info_3_2(CK_INFO_PTR pInfo)
{
    return give_info(pInfo, (CK_VERSION){3, 2});
}

CK_RV C_GetSlotList(CK_BBOOL tokenPresent, CK_SLOT_ID_PTR pSlotList, CK_ULONG_PTR pulCount)
{
    (void)tokenPresent; /* a cluster that cannot be reached at the moment is no token that was pulled out */
    TRY(module_check());
    CHECK(pulCount, CKR_ARGUMENTS_BAD);
    CK_ULONG n = slots_count(), room = *pulCount;

    *pulCount = n;
    if (!pSlotList)
        return CKR_OK;
    CHECK(room >= n, CKR_BUFFER_TOO_SMALL);
    for (CK_ULONG i = 0; i < n; i++)
        pSlotList[i] = i;
    return CKR_OK;
}

CK_RV C_GetSlotInfo(CK_SLOT_ID slotID, CK_SLOT_INFO_PTR pInfo)
{
    CLEANUP(slot_leave) struct slot *slot = NULL;
    char nodes[256] = "";
    size_t len = sizeof(nodes);

    TRY(slot_enter(slotID, &slot));
    CHECK(pInfo, CKR_ARGUMENTS_BAD);
    (void)hsm_config_get(slot->config, "nodes", nodes, &len);
    *pInfo = (CK_SLOT_INFO){.flags = CKF_TOKEN_PRESENT};
    PUT_TEXT(pInfo->slotDescription, nodes);
    PUT_TEXT(pInfo->manufacturerID, MAKER);
    put_version(&pInfo->hardwareVersion);
    put_version(&pInfo->firmwareVersion);
    return CKR_OK;
}

static void put_cluster(struct slot *slot, const hsm_cluster_info *cluster, CK_TOKEN_INFO *info)
{
    char id[2 * HSM_ID_LEN + 1];

    for (size_t i = 0; i < HSM_ID_LEN; i++)
        snprintf(id + 2 * i, 3, "%02x", cluster->id[i]);
    PUT_TEXT(info->label, cluster->name);
    PUT_TEXT(info->serialNumber, id); /* the first 16 digits */
    if (strcmp(cluster->state, "active") == 0)
        info->flags |= CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED;
    if (login_is_configured(slot))
        info->flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
}

static void put_time(CK_TOKEN_INFO *info)
{
    time_t now = time(NULL);
    struct tm utc;
    char text[32];

    gmtime_r(&now, &utc);
    strftime(text, sizeof(text), "%Y%m%d%H%M%S00", &utc);
    PUT_TEXT(info->utcTime, text);
}

CK_RV C_GetTokenInfo(CK_SLOT_ID slotID, CK_TOKEN_INFO_PTR pInfo)
{
    CLEANUP(slot_leave) struct slot *slot = NULL;
    hsm_cluster_info *cluster = NULL;

    TRY(slot_enter(slotID, &slot));
    CHECK(pInfo, CKR_ARGUMENTS_BAD);
    HSM(hsm_cluster_describe(slot->cluster, &cluster));
    *pInfo = (CK_TOKEN_INFO){.flags = CKF_RNG | CKF_LOGIN_REQUIRED | CKF_CLOCK_ON_TOKEN | CKF_DUAL_CRYPTO_OPERATIONS,
                             .ulMaxSessionCount = CK_EFFECTIVELY_INFINITE,
                             .ulMaxRwSessionCount = CK_EFFECTIVELY_INFINITE,
                             .ulMaxPinLen = HSM_USER_NAME_MAX + 1 + HSM_PASSWORD_MAX,
                             .ulMinPinLen = login_is_configured(slot) ? 0 : HSM_PASSWORD_MIN,
                             .ulTotalPublicMemory = CK_UNAVAILABLE_INFORMATION,
                             .ulFreePublicMemory = CK_UNAVAILABLE_INFORMATION,
                             .ulTotalPrivateMemory = CK_UNAVAILABLE_INFORMATION,
                             .ulFreePrivateMemory = CK_UNAVAILABLE_INFORMATION};
    put_cluster(slot, cluster, pInfo);
    hsm_cluster_info_free(cluster);
    PUT_TEXT(pInfo->manufacturerID, MAKER);
    PUT_TEXT(pInfo->model, "HSM cluster");
    put_time(pInfo);
    put_version(&pInfo->hardwareVersion);
    put_version(&pInfo->firmwareVersion);
    module_lock();
    pInfo->ulSessionCount = slot->n_sessions;
    pInfo->ulRwSessionCount = slot->n_read_write;
    module_unlock();
    return CKR_OK;
}

/* Slots are configured, and tokens are never pulled out: no event ever comes. Who waits for one waits until the module
 * is finalized, as the standard says (PKCS#11 2.40, 5.5). */
CK_RV C_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID_PTR pSlot, CK_VOID_PTR pReserved)
{
    static const struct timespec PAUSE = {.tv_nsec = 100 * 1000 * 1000};

    TRY(module_check());
    CHECK(pSlot && !pReserved, CKR_ARGUMENTS_BAD);
    if (flags & CKF_DONT_BLOCK)
        return CKR_NO_EVENT;
    while (module_check() == CKR_OK)
        nanosleep(&PAUSE, NULL);
    return CKR_CRYPTOKI_NOT_INITIALIZED;
}
