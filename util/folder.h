/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/cleanup.h"

/* Makes what was created, renamed or removed beside `path` durable: fsync of the folder it is in. */
int folder_sync_of(const char *path) _must_check_;
