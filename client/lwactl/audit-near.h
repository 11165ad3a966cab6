/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Names on the trail that one which is not there may have been meant for. */

#include "client/lwactl/audit-query.h"

/* Says as a hint which of them is near to the app, scope, account that the filter has, if one is. */
void audit_near_hint(struct bus *bus, const struct audit_filter *filter);
