/* A search that is under way in a session. */
#pragma once

struct session;

/* Ends it, if there is one. */
void find_end(struct session *session);

/* Forgets it without touching what a thread of the parent was using when the process forked. */
void find_abandon(struct session *session);
