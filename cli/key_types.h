/* Key types as people write them ("rsa-2048", "ec-p256", "aes-256", "ml-dsa-65"), and attributes as NAME=VALUE. */
#pragma once

#include "command.h"

struct key_type {
    uint32_t type;      /* HSM_KEY_TYPE_... */
    uint32_t mechanism; /* that generates it */
    uint32_t curve;
    uint64_t size; /* bits of RSA, bytes of secret keys, parameter set */
    bool pair;
};

int key_type_parse(const char *text, struct key_type *type);

/** "rsa-2048" for an object's attributes. */
void key_type_text(const hsm_attributes *attributes, char *text, size_t size);

#define TEMPLATE_MAX 32

/** Attributes with the values that they point to. */
struct template
{
    hsm_attribute list[TEMPLATE_MAX];
    unsigned n;
    uint64_t numbers[TEMPLATE_MAX];
    uint8_t flags[TEMPLATE_MAX];
    uint8_t *owned[TEMPLATE_MAX];
};

void template_release(struct template *template);
int template_bool(struct template *template, uint32_t type, bool value);
int template_uint(struct template *template, uint32_t type, uint64_t value);
int template_bytes(struct template *template, uint32_t type, const void *data, size_t len);
/** "extractable=true", "start-date=20260101", "id=0a0b" (bytes that are no text in hexadecimal) */
int template_assignment(struct template *template, const char *assignment);
/** --label, --id and every --attribute. */
int template_options(struct template *template, const struct context *context);
/** What generation of this type needs. */
int template_key_type(struct template *template, const struct key_type *type);
