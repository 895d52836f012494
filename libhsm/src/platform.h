/* Everything of the operating system that the core needs beyond sockets: one file per platform implements it. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/** Monotonic. */
uint64_t platform_now_ns(void);

/** An event that one thread waits for: 0 until it is set. */
typedef atomic_uint platform_event;

/** False when the time (platform_now_ns) came first. */
bool platform_event_wait(platform_event *event, uint64_t until_ns);
void platform_event_set(platform_event *event);

/** A file descriptor that polls readable once it is signalled; -1 on failure. */
int platform_signal_open(void);
void platform_signal(int fd);
void platform_signal_drain(int fd);

/** A set of descriptors that is pollable itself. */
int platform_set_open(void);
void platform_set_add(int set, int fd);
/** Waits until one is readable. */
void platform_set_wait(int set, int timeout_ms);

void platform_close(int fd);
