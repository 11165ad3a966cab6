/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Notices when what the table says may have changed: a file of its folder was added, changed, renamed or
 * removed, or the folder itself was; or its next section runs out. It looks at no file. Changes are gathered
 * until it is quiet for a moment, so that what an editor does in several steps counts once. */

#include "util/cleanup.h"

#include <stdint.h>
#include <uv.h>

struct policy_watch;

struct policy_watch_handlers {
    int (*changed)(void *userdata);  /* after a negative errno it is called again in a while */
    void (*expired)(void *userdata); /* the next time is to be set from within */
};

int policy_watch_new(uv_loop_t *loop, const struct policy_watch_handlers *handlers, void *userdata,
                     struct policy_watch **ret) _must_check_;
void policy_watch_free(struct policy_watch *w);

/* Watches this folder from now on, also while there is none: to be called before its files are read. What
 * cannot be watched is tried again, and taken as changed each time. 0 or -ENOMEM. */
int policy_watch_set_folder(struct policy_watch *w, const char *folder) _must_check_;
/* On the wall clock; 0 for never. To be set again when the clock was set. NULL: nothing is watched. */
void policy_watch_set_expiry(struct policy_watch *w, int64_t sec);
