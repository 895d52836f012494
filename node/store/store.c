/* What all stores share: see store.h. */
#include "store/store.h"

status_code store_check_floor(const struct store_write *writes, size_t n, uint64_t floor)
{
    for (size_t i = 0; i < n; i++)
        CHECK(writes[i].remove || generation_of(writes[i].value) >= floor, STATUS_BUSY,
              "the masking key was replaced before this could be written: send it again");
    return STATUS_OK;
}
