/* Which slots there are, and who uses them. */
#include "slot.h"
#include "guest.h"

#include <glob.h>
#include <stdlib.h>

#define CLUSTERS_FOLDER "/etc/hsm/clusters.d/*.yaml"
#define SLOTS_MAX       64

static struct slot *slots[SLOTS_MAX]; /* guarded by the module's lock */
static CK_ULONG n_slots;

/* --- opening and closing --- */

static void slot_free(struct slot *slot)
{
    if (!slot)
        return;
    object_table_release(&slot->objects);
    hsm_session_close(slot->login);
    hsm_session_close(slot->guest);
    hsm_cluster_close(slot->cluster);
    hsm_config_free(slot->config);
    free(slot->mechanisms);
    pthread_mutex_destroy(&slot->login_lock);
    pthread_mutex_destroy(&slot->guest_lock);
    free(slot);
}

static CK_RV slot_make(const char *path, struct slot *slot)
{
    HSM(hsm_config_load(path, &slot->config));
    HSM(hsm_cluster_open(slot->config, &slot->cluster));
    HSM(hsm_session_open(slot->cluster, &slot->login));
    HSM(hsm_session_open(slot->cluster, &slot->guest));
    return CKR_OK;
}

static CK_RV slot_open(const char *path)
{
    CHECK(n_slots < SLOTS_MAX, CKR_HOST_MEMORY);
    struct slot *slot = calloc(1, sizeof(*slot));

    CHECK(slot, CKR_HOST_MEMORY);
    pthread_mutex_init(&slot->login_lock, NULL);
    pthread_mutex_init(&slot->guest_lock, NULL);
    object_table_begin(&slot->objects);
    CK_RV result = slot_make(path, slot);

    if (result != CKR_OK) {
        slot_free(slot);
        return result;
    }
    slot->id = n_slots;
    slot->n_users = 1;
    slots[n_slots++] = slot;
    return CKR_OK;
}

static CK_RV open_listed(const char *paths)
{
    char *copy = strdup(paths), *rest = copy, *path;
    CK_RV result = copy ? CKR_OK : CKR_HOST_MEMORY;

    while (result == CKR_OK && (path = strsep(&rest, ":")) != NULL)
        if (path[0] != '\0')
            result = slot_open(path);
    free(copy);
    return result;
}

static CK_RV open_configured(void)
{
    const char *listed = secure_getenv("HSM_PKCS11_CLUSTERS");
    glob_t found = {0};
    CK_RV result = CKR_OK;

    if (listed && listed[0] != '\0')
        return open_listed(listed);
    if (secure_getenv("HSM_CONFIG") || glob(CLUSTERS_FOLDER, 0, NULL, &found) != 0)
        return slot_open(NULL);
    for (size_t i = 0; i < found.gl_pathc && result == CKR_OK; i++)
        result = slot_open(found.gl_pathv[i]);
    globfree(&found);
    return result;
}

CK_RV slots_open(void)
{
    CK_RV result = open_configured();

    if (result != CKR_OK)
        slots_close();
    return result;
}

/* Whether the last user went; under the module's lock. */
static bool slot_drop(struct slot *slot)
{
    return --slot->n_users == 0;
}

void slots_close(void)
{
    while (n_slots > 0) {
        struct slot *slot = slots[--n_slots];

        slots[n_slots] = NULL;
        if (slot_drop(slot))
            slot_free(slot);
    }
}

/* --- using --- */

CK_RV slot_enter(CK_SLOT_ID id, struct slot **slot)
{
    TRY(module_check());
    module_lock();
    struct slot *found = id < n_slots ? slots[id] : NULL;

    if (found)
        slot_hold(found);
    module_unlock();
    CHECK(found, CKR_SLOT_ID_INVALID);
    *slot = found;
    return CKR_OK;
}

bool slot_is_open(const struct slot *slot)
{
    return slot->id < n_slots && slots[slot->id] == slot;
}

void slot_hold(struct slot *slot)
{
    slot->n_users++;
}

void slot_leave(struct slot **slot)
{
    if (!*slot)
        return;
    module_lock();
    bool last = slot_drop(*slot);

    module_unlock();
    if (last)
        slot_free(*slot);
    *slot = NULL;
}

CK_ULONG slots_count(void)
{
    module_lock();
    CK_ULONG n = n_slots;

    module_unlock();
    return n;
}

void slots_after_fork(void)
{
    for (CK_ULONG i = 0; i < n_slots; i++) {
        pthread_mutex_init(&slots[i]->login_lock, NULL);
        guest_after_fork(slots[i]);
    }
}

/* --- mechanisms --- */

/* A fact that a node of an earlier version does not tell takes nothing away: the node refuses by itself. */
static bool is_refused(const hsm_node_description *description, const char *setting)
{
    for (size_t i = 0; i < description->n_facts; i++) {
        if (strcmp(description->facts[i]->name, setting) == 0)
            return strcmp(description->facts[i]->value, "0") == 0;
    }
    return false;
}

/* What SP 800-131A allows for old data alone. */
static void take_policy(const hsm_node_description *description, struct slot_mechanism *mechanism)
{
    switch (hsm_mechanism_key_type(mechanism->mechanism)) {
    case HSM_KEY_TYPE_DES3:
        if (is_refused(description, "allow-des3-encrypt"))
            mechanism->refused = CKF_ENCRYPT | CKF_WRAP;
        return;
    case HSM_KEY_TYPE_RSA:
    case HSM_KEY_TYPE_EC:
        if (is_refused(description, "allow-sha1-sign"))
            mechanism->refused_with_sha1 = CKF_SIGN;
        return;
    default:
        return;
    }
}

static CK_RV copy_mechanisms(const hsm_node_description *description, struct slot_mechanism **mechanisms)
{
    *mechanisms = calloc(description->n_mechanisms + 1, sizeof(**mechanisms));
    CHECK(*mechanisms, CKR_HOST_MEMORY);
    for (size_t i = 0; i < description->n_mechanisms; i++) {
        const hsm_mechanism_info *info = description->mechanisms[i];

        (*mechanisms)[i] = (struct slot_mechanism){
            .mechanism = info->mechanism,
            .uses = info->uses,
            .key_bits_min = info->key_bits_min,
            .key_bits_max = info->key_bits_max,
        };
        take_policy(description, &(*mechanisms)[i]);
    }
    return CKR_OK;
}

CK_RV slot_mechanisms(struct slot *slot, const struct slot_mechanism **mechanisms, size_t *n)
{
    struct slot_mechanism *made = NULL;
    hsm_node_description *description = NULL;
    size_t n_made = 0;

    module_lock();
    bool known = slot->mechanisms != NULL;

    module_unlock();
    if (!known) {
        HSM(hsm_node_describe(slot->cluster, NULL, &description));
        n_made = description->n_mechanisms;
        CK_RV result = copy_mechanisms(description, &made);

        hsm_node_description_free(description);
        TRY(result);
    }
    module_lock();
    if (made && !slot->mechanisms) {
        slot->mechanisms = made;
        slot->n_mechanisms = n_made;
        made = NULL;
    }
    *mechanisms = slot->mechanisms;
    *n = slot->n_mechanisms;
    module_unlock();
    free(made);
    return CKR_OK;
}
