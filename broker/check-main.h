/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* lwa-brokerd --check: looks around as the broker would at its start, changes nothing, serves nobody, and
 * says what it found: on standard output a JSON object a line (findings.h). What `lwactl doctor` starts where
 * no broker runs. */

#include "broker/broker.h"

/* The exit code: 0 unless there is a problem. The process is confined by now. */
int check_main(uv_loop_t *loop, const struct broker_options *options);
