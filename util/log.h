/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Log lines to standard error, one write each, with the journal's <N> priority prefix when standard error
 * is not a terminal. Modules below the edge log at debug only; an error is logged once, by whoever handles
 * it. Only ids, names from our own tables and numbers are logged: never a token, never text of a peer. */

#include "util/cleanup.h"

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

void log_set_level(enum log_level level);
void log_line(enum log_level level, const char *format, ...) _printf_(2, 3);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
