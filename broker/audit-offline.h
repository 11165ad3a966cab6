/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The parts of lwa-audit-verify: audit-offline.c has its command line and reads the export,
 * audit-offline-report.c says what was found. */

#include "broker/audit-verify.h"

#define AUDIT_OFFLINE_FINDINGS 100 /* told; all are counted */

/* On standard output; without a text of the record, so that nothing in an export can drive a terminal. */
void audit_offline_report(const struct audit_verify_report *report,
                          const struct audit_verify_options *options);
