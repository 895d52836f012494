/* What other providers have goes before what this one has, whatever the order in openssl.cnf. */
#pragma once

#include "provider.h"

/* For a provider that was activated in the library context of the whole process. */
void precedence_begin(struct provider *provider);
void precedence_end(struct provider *provider);

/* The others are being asked by this thread: we have nothing to say yet, and OpenSSL is to ask again. */
bool precedence_others_are_asked(const struct provider *provider, int operation);

/* Before the first answer for an operation. */
void precedence_ask_others(struct provider *provider, int operation);
