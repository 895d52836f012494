/* Taking single values into a template: what template.c asks of template_value.c. */
#pragma once

#include "attribute_table.h"

/* Whether a value is there and as long as its kind can be: CKR_ARGUMENTS_BAD, CKR_ATTRIBUTE_VALUE_INVALID. */
CK_RV template_check_given(const struct attribute_row *row, const CK_ATTRIBUTE *given);

/* What was checked so, as an attribute of the library; its type is 0 when it says nothing and is to be left out. */
CK_RV template_take(const struct attribute_row *row, const CK_ATTRIBUTE *given, enum template_use use,
                    struct template_made *made, hsm_attribute *taken);

/* A number as the library takes it. */
CK_RV template_put_uint(struct template_made *made, uint64_t number, hsm_attribute *taken);
