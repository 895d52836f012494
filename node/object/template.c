/* Templates: what a caller says that a new object should be, put together with what the unwrapping or base key
 * demands, and checked before anything is made. PKCS#11 3.0, section 4.1.1, says which failure has which name. */
#include "object/object_internal.h"

/** The attribute of the parent that rules what is made with it; 0 for none. */
static uint32_t ruling_attribute(enum object_origin origin)
{
    switch (origin) {
    case ORIGIN_UNWRAPPED:
        return ATTRIBUTE_UNWRAP_TEMPLATE;
    case ORIGIN_DERIVED:
        return ATTRIBUTE_DERIVE_TEMPLATE;
    case ORIGIN_GENERATED:
    case ORIGIN_IMPORTED:
    case ORIGIN_COPIED:
        return 0;
    }
    return 0;
}

static status_code merge(struct values *template, const struct values *demanded, uint32_t ruling)
{
    for (uint32_t i = 0; i < VALUES_MAX; i++) {
        if (!values_has(demanded, i))
            continue;
        CHECK(!values_has(template, i) || values_equal_at(&ATTRIBUTE_SCHEMA, template, demanded, i),
              STATUS_TEMPLATE_INCONSISTENT, "the key's %s demands another %s", attribute_name(ruling),
              attribute_name(i));
        template->value[i] = demanded->value[i];
        values_mark(template, i);
    }
    return STATUS_OK;
}

static status_code put_known(struct values *template, uint32_t attribute, uint64_t known)
{
    if (known == 0)
        return STATUS_OK;
    CHECK(values_uint(template, attribute, known) == known, STATUS_TEMPLATE_INCONSISTENT,
          "%s in the template contradicts the mechanism", attribute_name(attribute));
    values_put_uint(template, attribute, known);
    return STATUS_OK;
}

static status_code merge_rules_of(const struct object *parent, uint32_t ruling, struct values *template)
{
    struct values demanded;

    if (!parent || !ruling || !values_has(&parent->attributes, ruling))
        return STATUS_OK;
    TRY(values_decode_all(&ATTRIBUTE_SCHEMA, values_bytes(&parent->attributes, ruling), &demanded));
    return merge(template, &demanded, ruling);
}

status_code object_template(const struct object_new *new, struct values *template)
{
    uint32_t ruling = ruling_attribute(new->origin);

    if (new->attributes.len)
        TRY(values_decode_all(&ATTRIBUTE_SCHEMA, new->attributes, template));
    else
        values_init(template);
    TRY(merge_rules_of(new->parent, ruling, template));
    TRY(merge_rules_of(new->second, ruling, template));
    TRY(put_known(template, ATTRIBUTE_CLASS, new->class));
    return put_known(template, ATTRIBUTE_KEY_TYPE, new->key_type);
}

/** What a copy may be given besides what could be changed later anyway. */
static bool is_for_copies(uint32_t attribute)
{
    return attribute == ATTRIBUTE_TOKEN || attribute == ATTRIBUTE_PRIVATE || attribute == ATTRIBUTE_MODIFIABLE ||
           attribute == ATTRIBUTE_DESTROYABLE || attribute_flags(attribute) & ATTRIBUTE_FLAG_SET;
}

static status_code check_may_be_given(const struct object_new *new, const struct values *template, uint32_t i)
{
    bool untrusted = i == ATTRIBUTE_TRUSTED && !values_bool(template, i, false); /* what it is anyway */
    CHECK(i != ATTRIBUTE_TRUSTED || untrusted, STATUS_ATTRIBUTE_READ_ONLY,
          "TRUSTED is set by an administrator, when the key is there");
    CHECK(untrusted || attribute_flags(i) & ATTRIBUTE_FLAG_CREATE, STATUS_ATTRIBUTE_READ_ONLY,
          "%s is set by the node alone", attribute_name(i));
    CHECK(new->origin != ORIGIN_COPIED || is_for_copies(i), STATUS_ATTRIBUTE_READ_ONLY,
          "a copy has the %s that its original has", attribute_name(i));
    CHECK(i != ATTRIBUTE_VALUE || new->origin == ORIGIN_IMPORTED, STATUS_TEMPLATE_INCONSISTENT,
          "VALUE can be given only when an object is imported");
    return STATUS_OK;
}

static status_code check_kind(uint64_t class, uint64_t key_type, const struct values *template)
{
    CHECK(class, STATUS_TEMPLATE_INCOMPLETE, "CLASS is missing");
    CHECK(object_class_name(class), STATUS_ATTRIBUTE_VALUE_INVALID, "there is no object class %llu",
          (unsigned long long)class);
    if (!is_key_class(class))
        return STATUS_OK;
    CHECK(values_has(template, ATTRIBUTE_KEY_TYPE), STATUS_TEMPLATE_INCOMPLETE, "KEY_TYPE is missing");
    CHECK(key_type_name(key_type), STATUS_ATTRIBUTE_VALUE_INVALID, "there is no key type %llu",
          (unsigned long long)key_type);
    return STATUS_OK;
}

static status_code check_value(const struct object_new *new, const struct values *template, uint64_t class)
{
    uint32_t first = day_of(values_bytes(template, ATTRIBUTE_START_DATE));
    uint32_t last = day_of(values_bytes(template, ATTRIBUTE_END_DATE));
    CHECK(!first || !last || first <= last, STATUS_TEMPLATE_INCONSISTENT, "END_DATE lies before START_DATE");
    CHECK(new->origin != ORIGIN_IMPORTED || class == CLASS_DATA || values_has(template, ATTRIBUTE_VALUE),
          STATUS_TEMPLATE_INCOMPLETE, "VALUE is missing");
    return STATUS_OK;
}

status_code template_check(const struct object_new *new, const struct values *template)
{
    uint64_t class = values_uint(template, ATTRIBUTE_CLASS, 0);
    uint64_t key_type = values_uint(template, ATTRIBUTE_KEY_TYPE, 0);

    if (new->origin == ORIGIN_COPIED) {
        class = values_uint(&new->parent->attributes, ATTRIBUTE_CLASS, 0);
        key_type = values_uint(&new->parent->attributes, ATTRIBUTE_KEY_TYPE, 0);
    } else {
        TRY(check_kind(class, key_type, template));
    }
    for (uint32_t i = 0; i < VALUES_MAX; i++) {
        if (!values_has(template, i))
            continue;
        TRY(check_may_be_given(new, template, i));
        CHECK(attribute_applies(i, class, key_type), STATUS_ATTRIBUTE_TYPE_INVALID, "%s does not apply to a %s%s%s",
              attribute_name(i), object_class_name(class), is_key_class(class) ? " of type " : "",
              is_key_class(class) ? key_type_name(key_type) : "");
        TRY(attribute_check_value(template, i));
    }
    return check_value(new, template, class);
}

status_code object_check_template(const struct object_new *new)
{
    struct values template;
    TRY(object_template(new, &template));
    return template_check(new, &template);
}
