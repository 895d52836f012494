/* What the life-cycle commands need of a CA on this machine. */
#pragma once

#include "command.h"

/** Makes a CA in a directory. */
int ca_make_default(const char *directory);

/** Signs a request; the certificate as PEM, to be freed. days 0: the default. */
int ca_sign_pem(const char *directory, const struct content *request_pem, bool node, int days, char **certificate_pem);
