/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One look at a process, in a child of lwa-identd's own: any of these reads can hang in a file system that
 * does not answer, and then the child is given up. */

#include "broker/identd-wire.h"
#include "util/cleanup.h"

#include <sys/types.h>

/* A thing of the kernel's that is told by these two. */
struct identd_node {
    dev_t device;
    ino_t inode;
};

/* What a process has that is in no sandbox: as lwa-identd itself has it. */
struct identd_host {
    struct identd_node root;
    struct identd_node user_namespace; /* zeros: this kernel has none */
    uint64_t ticks_per_sec;            /* of the times in /proc */
};

int identd_host_read(struct identd_host *ret) _must_check_;

/* Looks at the process of the request, which is about `pidfd` if the request has one (else -1). Fills all of
 * the answer but its id. */
void identd_look(const struct identd_host *host, const struct identd_request *request, int pidfd,
                 struct identd_answer *ret);
