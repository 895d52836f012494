/* Everything of the operating system that the core needs beyond sockets: one file per platform implements it. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/** Monotonic. */
uint64_t platform_now_ns(void);

/** The id of this process: every call asks, to tell a child of fork, so it costs no system call. */
long platform_process(void);

/** The value of a variable of the environment; NULL when there is none, and in a program that has more rights than the
 * user who started it (setuid, file capabilities): the environment is that user's, and could send it with its passwords
 * to other nodes. */
const char *platform_environment(const char *variable);

/** An event that one thread waits for: 0, until it is marked with a value of PLATFORM_EVENT_FIRST or above. */
typedef atomic_uint platform_event;
#define PLATFORM_EVENT_FIRST 2u

/** The value, or 0 when the time (platform_now_ns) came first. */
unsigned platform_event_wait(platform_event *event, uint64_t until_ns);
/** Takes the value back, unless another has come meanwhile. */
void platform_event_unmark(platform_event *event, unsigned value);
/** Returns whether a thread sleeps on it, which platform_event_wake then wakes. */
bool platform_event_mark(platform_event *event, unsigned value);
/** The event's memory may have gone to another use by now: then this wakes nobody, or somebody who looks and sleeps on.
 */
void platform_event_wake(platform_event *event);

/** A file descriptor that polls readable once it is signalled; -1 on failure. */
int platform_signal_open(void);
void platform_signal(int fd);
/** Of a signal or a timer: not readable until the next. */
void platform_signal_drain(int fd);

/** A file descriptor that polls readable again and again, when it is set to; -1 on failure. */
int platform_timer_open(void);
/** From now on each `every_ms`; 0: no more. */
void platform_timer_set(int fd, unsigned every_ms);

/** A set of descriptors that is pollable itself. */
int platform_set_open(void);
/** `token` says which descriptor it is. */
void platform_set_add(int set, int fd, uint32_t token);
/** Whether the descriptor is watched for room to write, too. */
void platform_set_change(int set, int fd, uint32_t token, bool writing);
/** Waits until some are ready; their tokens. */
unsigned platform_set_wait(int set, uint32_t *ready, unsigned max, int timeout_ms);

void platform_close(int fd);
