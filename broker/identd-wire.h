/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What lwa-brokerd and lwa-identd say to each other, over a SOCK_SEQPACKET pair that nobody else holds: one
 * struct a message, in the machine's own byte order. lwa-identd begins, with an answer of id 0, once it can
 * look and has nothing that it does not need. A request may carry one descriptor, the pidfd that the bus
 * vouches for. An answer comes for every request, in no order; the strings in it end with NUL, and the
 * daemon checks them again. */

#include "util/cleanup.h"

#include <stdint.h>

#define IDENTD_FLATPAK_SIZE 256 /* an application id has at most 255 bytes */
#define IDENTD_UNIT_SIZE 256
#define IDENTD_EXE_SIZE 256

struct identd_request {
    uint64_t id;
    uint64_t connected_usec; /* CLOCK_BOOTTIME: by then the connection was there. 0: it is not known */
    uint32_t uid;            /* what the bus says */
    int32_t pid;
    uint32_t has_pidfd; /* 0 or 1 */
    uint32_t reserved;
};

enum identd_status {
    IDENTD_OK,
    IDENTD_GONE,       /* the process has ended, or is another one than the one that connected */
    IDENTD_OTHER_UID,  /* it runs as another user than the one that connected */
    IDENTD_UNREADABLE, /* something of it cannot be read or is not as it must be */
    IDENTD_TIMEOUT,    /* its file system does not answer */
    IDENTD_BUSY,       /* too many look-ups wait */
    /* What the daemon says where lwa-identd says nothing; these are never on the wire. */
    IDENTD_SILENT, /* lwa-identd does not answer */
    IDENTD_LOST,   /* lwa-identd has ended */
};

struct identd_answer {
    uint64_t id;
    uint32_t status;    /* enum identd_status; what follows is set for IDENTD_OK only */
    uint8_t is_foreign; /* its root or user namespace is not the host's */
    uint8_t is_pinned;  /* it is surely the process that connected */
    uint8_t reserved[2];
    char flatpak[IDENTD_FLATPAK_SIZE]; /* application id, "" outside of Flatpak */
    char unit[IDENTD_UNIT_SIZE];       /* "musicd.service", "" outside of system.slice */
    char exe[IDENTD_EXE_SIZE];         /* "" where it is not known, longer, or foreign */
};

/* An absolute path that can be shown and compared: UTF-8 without control characters, short enough. */
bool identd_exe_is_valid(const char *path);
/* Whether this can be an answer at all: a known status, strings that end, valid names in them. */
bool identd_answer_is_valid(const struct identd_answer *answer);
/* Makes it one of this status, with nothing found and the same id. */
void identd_answer_fail(struct identd_answer *answer, enum identd_status status);
