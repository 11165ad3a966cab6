/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The methods of org.lwabroker.Status1 that have files of their own; status1.c has their table. Both need
 * policy.manage. */

#include "broker/call.h"

void status1_begin_diagnose(struct call *call);
void status1_begin_probe_narrowing(struct call *call);
