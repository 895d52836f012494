/* See pkcs11_given.h. */
#include "pkcs11_given.h"

#define COPIES 64
#define PLACE  8192
#define STAYS  0xa5
#define HUGE   ((CK_ULONG)-1)

static const uint8_t *next, *end;
static void *copies[COPIES];
static unsigned n_copies;
static CK_BYTE place[PLACE];
static CK_BYTE made[1024];
static CK_ULONG made_len;
static CK_ULONG last_len;                     /* of data */
static const struct model_session *preferred; /* by the next given_session */
static CK_OBJECT_HANDLE last_object;

void given_begin(const uint8_t *bytes, size_t len)
{
    next = bytes;
    end = bytes + len;
    made_len = 0;
    last_len = 32;
    preferred = NULL;
    last_object = CK_INVALID_HANDLE;
}

bool given_is_over(void)
{
    return next >= end;
}

uint8_t given_byte(void)
{
    return next < end ? *next++ : 0;
}

unsigned given_below(unsigned n)
{
    return given_byte() % n;
}

bool given_rarely(void)
{
    return given_byte() >= 0xf0;
}

void given_forget(void)
{
    while (n_copies > 0)
        free(copies[--n_copies]);
}

void *given_copy(const void *from, size_t len)
{
    void *copy = malloc(len ? len : 1);

    EXPECT(copy && n_copies < COPIES, "a call has too many arguments");
    copies[n_copies++] = copy;
    if (from)
        memcpy(copy, from, len);
    else
        memset(copy, 0, len);
    return copy;
}

/* --- handles --- */

static CK_ULONG hostile_handle(unsigned which)
{
    const CK_ULONG hostile[] = {
        0, HUGE, NO_HANDLE, (CK_ULONG)1 << 62, model.sessions[0].handle, model.objects[0].handle};

    return hostile[which % (sizeof(hostile) / sizeof(hostile[0]))];
}

struct model_session *session_of(CK_SESSION_HANDLE handle)
{
    for (int i = 0; i < SESSIONS; i++)
        if (model.sessions[i].open && model.sessions[i].handle == handle)
            return &model.sessions[i];
    return NULL;
}

CK_SESSION_HANDLE open_handle(unsigned which)
{
    for (unsigned i = 0; i < SESSIONS; i++) {
        const struct model_session *at = &model.sessions[(which + i) % SESSIONS];

        if (at->open)
            return at->handle;
    }
    return model.sessions[which % SESSIONS].handle;
}

enum family given_family(unsigned families)
{
    unsigned which = given_byte();

    for (unsigned i = 0; which < 0xe8 && i < SESSIONS * FAMILIES; i++) {
        const struct model_session *at = &model.sessions[(which + i) / FAMILIES % SESSIONS];
        enum family family = (which + i) % FAMILIES;

        if (!(families & USE(family)) || at->operations[family].phase == NONE)
            continue;
        preferred = at;
        return family;
    }
    while (!(families & USE(which % FAMILIES)))
        which++;
    return which % FAMILIES;
}

CK_SESSION_HANDLE given_session(struct model_session **at)
{
    uint8_t which = given_byte();
    const struct model_session *better = preferred;

    preferred = NULL;
    CK_SESSION_HANDLE handle = better && which < 0xe0 ? better->handle
                               : which < 0xf0         ? open_handle(which)
                               : which < 0xf8         ? model.sessions[which % SESSIONS].handle /* perhaps closed */
                                                      : hostile_handle(which);

    *at = session_of(handle);
    return handle;
}

static struct model_object *object_with(CK_OBJECT_HANDLE handle)
{
    for (unsigned i = 0; i < model.n_objects; i++)
        if (model.objects[i].handle == handle)
            return &model.objects[i];
    return NULL;
}

static struct model_object *object_of_kind(unsigned kinds, unsigned which)
{
    for (unsigned i = 0; i < model.n_objects; i++) {
        struct model_object *object = &model.objects[(which + i) % model.n_objects];

        if (object->life == THERE && kinds & KIND(object->kind))
            return object;
    }
    return NULL;
}

CK_OBJECT_HANDLE given_object(unsigned kinds, struct model_object **object)
{
    uint8_t which = given_byte();

    *object = which < 0x80 ? object_with(last_object) : NULL;
    if (!*object || (*object)->life != THERE || !(kinds & KIND((*object)->kind)))
        *object = which < 0xe0 ? object_of_kind(kinds, which) : NULL;
    if (*object)
        return last_object = (*object)->handle;
    CK_OBJECT_HANDLE handle =
        which < 0xf0 ? model.objects[which % (model.n_objects + 1)].handle : hostile_handle(which);

    *object = object_with(handle);
    return handle;
}

/* --- bytes --- */

static CK_ULONG some_len(void)
{
    static const CK_ULONG LENS[] = {0, 1, 15, 16, 17, 20, 32, 33, 48, 64, 100, 128, 245, 256, 300, 16};

    uint8_t which = given_byte();

    if (which < 0x90)
        return last_len;
    return last_len = LENS[which % 16];
}

static struct given_data bad_data(void)
{
    static const CK_ULONG LENS[] = {HUGE, (CK_ULONG)1 << 63, HUGE - 15, ((CK_ULONG)1 << 63) + 64};
    unsigned which = given_below(8);

    if (which < 4)
        return (struct given_data){given_copy(NULL, 16), LENS[which], true, false};
    return (struct given_data){NULL, which == 4 ? HUGE : 16, true, false};
}

struct given_data given_data(void)
{
    CK_BYTE bytes[512];

    if (given_rarely())
        return bad_data();
    CK_ULONG len = some_len();

    if (len == 0 && given_rarely())
        return (struct given_data){NULL, 0, false, false};
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (CK_BYTE)(i * 7 + 1);
    return (struct given_data){given_copy(bytes, len), len, false, false};
}

struct given_data given_made(void)
{
    uint8_t which = given_byte();

    if (which >= 0xc0)
        return given_data();
    struct given_data data = {given_copy(made, made_len), made_len, false, true};

    if (which >= 0xa0 && made_len > 0)
        data.bytes[which % made_len] ^= 1;
    return data;
}

void given_keep_made(const CK_BYTE *bytes, CK_ULONG len)
{
    made_len = len <= sizeof(made) ? len : 0;
    if (made_len > 0)
        memcpy(made, bytes, made_len);
}

static void move_data(struct given_data *data, size_t to)
{
    if (data->bad || !data->bytes)
        return;
    memcpy(place + to, data->bytes, data->len);
    data->bytes = place + to;
}

void given_room(struct given_room *room, struct given_data *data)
{
    static const CK_ULONG LENS[] = {PLACE - 512, 0,   1,   12,  15,   16,          28, 32,
                                    64,          256, 255, 512, 1024, PLACE - 512, 48, HUGE};
    uint8_t how = given_byte();
    CK_ULONG len = how < 0x90 ? LENS[0] : LENS[how % 16];

    *room = (struct given_room){how < 0x80 || how >= 0x98 ? place : NULL, len, len, NULL, 0};
    room->len_pointer = how >= 0xf8 ? NULL : &room->len;
    room->watched = len == HUGE ? PLACE - 512 : room->bytes ? len : 0;
    memset(place, STAYS, sizeof(place));
    if (!data || given_byte() < 0xd0)
        return;
    size_t to = how % 4 ? 0 : 5;

    move_data(data, to);
    if (!data->bad && to + data->len > room->watched)
        room->watched = to + data->len;
}

void given_check_room(const struct given_room *room, CK_RV rv, const char *call)
{
    for (size_t i = room->watched; i < PLACE; i++)
        EXPECT(place[i] == STAYS, "%s wrote at %zu into a buffer of %lu", call, i, room->had);
    if (!room->len_pointer)
        return;
    if (rv == CKR_OK && room->bytes)
        EXPECT(room->len <= room->had, "%s gives %lu bytes into a buffer of %lu", call, room->len, room->had);
    if (rv == CKR_OK && !room->bytes)
        EXPECT(room->len < 1 << 20, "%s asks for a buffer of %lu", call, room->len);
    if (rv == CKR_BUFFER_TOO_SMALL)
        EXPECT(room->len > room->had && room->len < 1 << 20, "%s finds a buffer of %lu too small and wants %lu", call,
               room->had, room->len);
}

/* --- templates --- */

#define MORE 4

static void append(struct given_template *template, CK_ATTRIBUTE attribute)
{
    template->attributes[template->n++] = attribute;
}

static CK_ATTRIBUTE nested(CK_ULONG len)
{
    static CK_ATTRIBUTE inner[2] = {{CKA_LABEL, NULL, 5}, {CKA_TOKEN, NULL, 0}};

    return (CK_ATTRIBUTE){CKA_WRAP_TEMPLATE, given_copy(inner, sizeof(inner)), len};
}

/* What is wrong, and in which words it may be refused. */
static void spoil(struct given_template *template, unsigned how)
{
    static CK_BBOOL yes = CK_TRUE;
    static const CK_RV WRONG[][WAYS_TO_REFUSE] = {
        {CKR_TEMPLATE_INCONSISTENT},
        {CKR_ATTRIBUTE_TYPE_INVALID},
        {CKR_ARGUMENTS_BAD, CKR_ATTRIBUTE_VALUE_INVALID},
        {CKR_ATTRIBUTE_VALUE_INVALID, CKR_ATTRIBUTE_READ_ONLY},
        {CKR_ATTRIBUTE_VALUE_INVALID, CKR_ARGUMENTS_BAD},
        {CKR_ARGUMENTS_BAD},
        {CKR_ATTRIBUTE_READ_ONLY},
        {CKR_ATTRIBUTE_VALUE_INVALID, CKR_ATTRIBUTE_READ_ONLY},
        {CKR_ATTRIBUTE_VALUE_INVALID, CKR_ARGUMENTS_BAD, CKR_ATTRIBUTE_READ_ONLY},
        {CKR_ARGUMENTS_BAD},
    };
    const CK_ATTRIBUTE added[] = {
        template->attributes[0], {CKA_VENDOR_DEFINED | 0x1234, &yes, 1},
        {CKA_ID, NULL, 8},       {CKA_PRIVATE, "\1\1\1\1", 4},
        {CKA_ID, "id", HUGE},
    };

    memcpy(template->wrong, WRONG[how], sizeof(WRONG[how]));
    if (how < 5)
        append(template, added[how]);
    if (how == 5)
        template->attributes = NULL;
    if (how == 6)
        append(template, (CK_ATTRIBUTE){CKA_LOCAL, &yes, 1});
    if (how == 7)
        append(template, nested(sizeof(CK_ATTRIBUTE) + 1));
    if (how == 8)
        append(template, nested(2 * sizeof(CK_ATTRIBUTE)));
    if (how == 9)
        template->n = HUGE;
}

struct given_template given_template(const CK_ATTRIBUTE *base, CK_ULONG n)
{
    static CK_BBOOL yes = CK_TRUE;
    uint8_t how = given_byte();
    struct given_template template = {.n = n};

    template.attributes = given_copy(NULL, (n + MORE) * sizeof(CK_ATTRIBUTE));
    memcpy(template.attributes, base, n * sizeof(CK_ATTRIBUTE));
    if (how >= 0x90 && how < 0xb0) {
        template.token = true;
        append(&template, (CK_ATTRIBUTE){CKA_TOKEN, &yes, 1});
    }
    if (how >= 0xc0)
        spoil(&template, how % 10);
    return template;
}

void refuse_template(struct verdict *verdict, const struct given_template *template)
{
    for (int i = 0; i < WAYS_TO_REFUSE; i++)
        refuse_if(verdict, template->wrong[i] != CKR_OK, template->wrong[i]);
}

const char *template_fault(const struct given_template *template)
{
    return template->wrong[0] ? rv_name(template->wrong[0]) : template->token ? "token" : "session";
}
