/* A row of the table is offered as far as a node of the cluster offers what it stands for. Digests are made here and
 * are always there. */
#pragma once

#include "mechanism.h"
#include "slot.h"

/* What a node tells of the row's mechanism; NULL. */
const struct slot_mechanism *mechanism_at_node(const struct mechanism_row *row, const struct slot_mechanism *offered,
                                               size_t n);

/* The row's uses that are offered; 0: none. */
CK_FLAGS mechanism_uses(const struct mechanism_row *row, const struct slot_mechanism *by);

/* CKR_MECHANISM_INVALID when the cluster does not offer the row for this use. Asks a node the first time. */
CK_RV mechanism_check_offered(struct slot *slot, const struct mechanism_row *row, CK_FLAGS use);
