/* The lists of functions by which programs reach the module: PKCS#11 3.0, 2.40 and 3.2. They differ in C_GetInfo, too,
 * which tells the version of the list. */
#include "cryptoki_later.h"
#include "interface_3_2.h"
#include "module.h"

/* The header's list of functions, by names, as members of both structures. */
#define CK_PKCS11_3_0                 1
#define CK_PKCS11_FUNCTION_INFO(name) .name = name,

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init" /* of C_GetInfo, which is in the header's list, too */

static CK_FUNCTION_LIST_3_0 functions_3_0 = {
    .version = {3, 0},
#include <pkcs11f.h>
    .C_GetInfo = get_info_3_0,
};

static struct function_list_3_2 functions_3_2 = {
    .until_3_0 =
        {
            .version = {3, 2},
#include <pkcs11f.h>
            .C_GetInfo = get_info_3_2,
        },
    FUNCTIONS_OF_3_2,
};

#pragma GCC diagnostic pop

#undef CK_PKCS11_3_0

static CK_FUNCTION_LIST functions_2_40 = {
    .version = {2, 40},
#include <pkcs11f.h>
};

/* Fork: a child goes on with what its parent had (module.h). */
static CK_INTERFACE interfaces[] = {
    {(CK_CHAR *)"PKCS 11", &functions_3_0, CKF_INTERFACE_FORK_SAFE},
    {(CK_CHAR *)"PKCS 11", &functions_2_40, CKF_INTERFACE_FORK_SAFE},
    {(CK_CHAR *)"PKCS 11", &functions_3_2, CKF_INTERFACE_FORK_SAFE},
};

#define N_INTERFACES (sizeof(interfaces) / sizeof(interfaces[0]))

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR ppFunctionList)
{
    CHECK(ppFunctionList, CKR_ARGUMENTS_BAD);
    *ppFunctionList = &functions_2_40;
    return CKR_OK;
}

CK_RV C_GetInterfaceList(CK_INTERFACE_PTR pInterfacesList, CK_ULONG_PTR pulCount)
{
    CHECK(pulCount, CKR_ARGUMENTS_BAD);
    CK_ULONG room = *pulCount;

    *pulCount = N_INTERFACES;
    if (!pInterfacesList)
        return CKR_OK;
    CHECK(room >= N_INTERFACES, CKR_BUFFER_TOO_SMALL);
    memcpy(pInterfacesList, interfaces, sizeof(interfaces));
    return CKR_OK;
}

static bool fits(const CK_INTERFACE *interface, const char *name, const CK_VERSION *version, CK_FLAGS flags)
{
    const CK_VERSION *its = interface->pFunctionList;

    if (name && strcmp(name, (const char *)interface->pInterfaceName) != 0)
        return false;
    if (version && (version->major != its->major || version->minor != its->minor))
        return false;
    return (flags & ~interface->flags) == 0;
}

CK_RV C_GetInterface(CK_UTF8CHAR_PTR pInterfaceName, CK_VERSION_PTR pVersion, CK_INTERFACE_PTR_PTR ppInterface,
                     CK_FLAGS flags)
{
    CHECK(ppInterface, CKR_ARGUMENTS_BAD);
    for (size_t i = 0; i < N_INTERFACES; i++) {
        if (fits(&interfaces[i], (const char *)pInterfaceName, pVersion, flags)) {
            *ppInterface = &interfaces[i];
            return CKR_OK;
        }
    }
    return CKR_FUNCTION_FAILED;
}
