/* The bytes of an input, read as arguments: most of them as they should be, some as no program should give them. What
 * is wrong with an argument comes along with it, so that the model knows. Memory that a call may only read is as long
 * as it claims, and gone when the next call comes, so that a sanitizer sees what is read beyond or kept. */
#pragma once

#include "pkcs11_model.h"

void given_begin(const uint8_t *bytes, size_t len);
bool given_is_over(void);
uint8_t given_byte(void);

/** A number below `n`. */
unsigned given_below(unsigned n);

/** In about one of 16 cases. */
bool given_rarely(void);

/** Between calls: frees what the last one was given. */
void given_forget(void);

/** Memory of exactly that length, with a copy of `from` (NULL: zeros). */
void *given_copy(const void *from, size_t len);

/* --- handles --- */

/** One that is open, when there is any; and the session of a handle, NULL when it is not open. */
CK_SESSION_HANDLE open_handle(unsigned which);
struct model_session *session_of(CK_SESSION_HANDLE handle);

/** `*session` NULL: it is not open. */
CK_SESSION_HANDLE given_session(struct model_session **at);

/** A family of those in the set (USE bits), most often one that is active somewhere: then the next given_session is
 * most often that session. */
#define USE(use) (1u << (use))
enum family given_family(unsigned families);

#define KIND(kind) (1u << (kind))
#define ANY_KIND   ((1u << KINDS) - 1)

/** Most often an object of one of these kinds. `*object` NULL: nothing that the model knows of. */
CK_OBJECT_HANDLE given_object(unsigned kinds, struct model_object **object);

/* --- bytes --- */

struct given_data {
    CK_BYTE *bytes;
    CK_ULONG len;
    bool bad;  /* NULL with a length, or a length that nothing can have */
    bool made; /* it is what an earlier call gave */
};

/** Often as long as the last time: the same bytes then. */
struct given_data given_data(void);

/** What the last call gave that gave something (a signature, a ciphertext, a wrapped key), or other bytes. */
struct given_data given_made(void);
void given_keep_made(const CK_BYTE *bytes, CK_ULONG len);

/* Where output goes; around it are bytes that must stay. */
struct given_room {
    CK_BYTE *bytes;    /* NULL: the length is asked for */
    CK_ULONG len, had; /* what the call is told, and may change; as it was */
    CK_ULONG *len_pointer;
    size_t watched; /* where the bytes begin that must stay */
};

/** `room` stays where it is. `data`: may be moved into the same place. */
void given_room(struct given_room *room, struct given_data *data);

/** After the call: nothing was written beyond, and lengths are told as the standard wants. */
void given_check_room(const struct given_room *room, CK_RV rv, const char *call);

/* --- templates --- */

#define WAYS_TO_REFUSE 3

struct given_template {
    CK_ATTRIBUTE *attributes;
    CK_ULONG n;
    CK_RV wrong[WAYS_TO_REFUSE]; /* how it is to be refused, in one of these; CKR_OK: it is right */
    bool token;
};

/** The attributes with what is to be tried on them. */
struct given_template given_template(const CK_ATTRIBUTE *base, CK_ULONG n);

/** For telling what was called. */
const char *template_fault(const struct given_template *template);
void refuse_template(struct verdict *verdict, const struct given_template *template);
