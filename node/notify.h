/* Telling systemd (Type=notify) how far the process is, by sd_notify(3)'s protocol: a datagram to $NOTIFY_SOCKET. */
#pragma once

#include "protocol/failure.h"

/** Sends "READY=1", "STOPPING=1", "RELOADING=1" or "STATUS=...". Does nothing without the variable. */
void notify_systemd(const char *state);
