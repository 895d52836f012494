/* Bounds on everything that comes from outside. Both sides check them before they allocate. */
#pragma once

#ifndef PROTOCOL_VERSION   /* a test builds the next one */
#define PROTOCOL_VERSION 1 /* what this code speaks best */
#endif
#define PROTOCOL_VERSION_MIN 1 /* the oldest that it still understands */

#define MESSAGE_MAX       (4u << 20) /* bytes of one SP message, header included */
#define BATCH_MAX         1024u      /* requests in one message */
#define DATA_MAX          (1u << 20) /* bytes in one data field; longer payloads are streamed in parts of this size */
#define DEPTH_MAX         8u         /* nested maps and arrays */
#define CONTAINER_MAX     4096u      /* entries of one map or array */
#define ID_LEN            16u        /* object ids, request ids, node ids, cluster ids */
#define TICKET_MAX        512u
#define BLOB_MAX          32768u /* a sealed session key: an ML-DSA-87 key with its attributes fits */
#define STATE_MAX         2048u  /* sealed state of a multi-part operation */
#define FIND_PAGE_MAX     1000u
#define USER_NAME_MAX     31u
#define USERS_MAX         1024u
#define PASSWORD_MIN      8u
#define PASSWORD_MAX      128u
#define CLUSTER_NODES_MAX 28u
#define RECOVERY_KEY_LEN  32u
