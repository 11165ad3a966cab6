/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* lwactl doctor: what must be right for the broker to work, a row each. Here is what can be seen from outside
 * of it; the broker adds what it knows (doctor-broker.c). Rows go in through doctor_add() alone, which makes
 * their texts safe for a terminal. */

#include "client/lwactl/options.h"
#include "client/lwactl/values.h"

#include <dbus/dbus.h>
#include <sys/types.h>

#define DOCTOR_SERVICE_USER "lwa-broker"

struct doctor {
    const struct arguments *arguments;
    struct json_object *rows; /* check, subject, level, text, fix */
    int error;                /* -ENOMEM sticks */
    size_t n_problems, n_warnings, n_unknown;

    /* What doctor_check_bus() found. */
    DBusConnection *bus; /* NULL: not to be reached */
    char *owner;         /* unique name of the broker; NULL: it does not run */
    uid_t service_uid;   /* (uid_t)-1: there is no such user */
    pid_t pid;           /* of the broker; 0: not known */
};

/* As the broker writes them. */
#define DOCTOR_OK "ok"
#define DOCTOR_NOTE "note"
#define DOCTOR_WARNING "warning"
#define DOCTOR_PROBLEM "problem"
#define DOCTOR_UNKNOWN "unknown"

/* NULL for `subject` and `fix` is "". */
void doctor_add(struct doctor *d, const char *check, const char *subject, const char *level, const char *fix,
                const char *format, ...) _printf_(6, 7);
/* Calls a method of the bus's own, or another's, with up to one string; NULL with the error's name in
 * *ret_error (owned by `error`). */
DBusMessage *doctor_call(struct doctor *d, DBusMessage *call, DBusError *error);

/* In this order. */
void doctor_check_user(struct doctor *d);
void doctor_check_bus(struct doctor *d);
void doctor_check_process(struct doctor *d);
void doctor_check_polkit(struct doctor *d);
void doctor_check_broker(struct doctor *d);

/* --probe-narrowing, instead of all that. Returns the exit code. */
int doctor_probe_narrowing(const struct arguments *arguments);
