/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The events of the audit trail, by name: what the broker records, Audit1.Query filters by, and lwactl shows.
 */

enum audit_event {
    AUDIT_BROKER_STARTED,
    AUDIT_BROKER_STOPPED,
    AUDIT_BROKER_CRASHED, /* found at the next start */
    AUDIT_LOGIN_BEGUN,
    AUDIT_LOGIN_FINISHED,
    AUDIT_LOGIN_FAILED,
    AUDIT_GRANT_ADDED,
    AUDIT_GRANT_REMOVED,
    AUDIT_GRANT_DIED,
    AUDIT_GRANT_INTERRUPTED, /* a refresh was under way when the broker died: its answer may be lost */
    AUDIT_TOKEN_DISCLOSED,
    AUDIT_TOKEN_DENIED,
    AUDIT_TOKEN_REFRESHED,
    AUDIT_TOKEN_REFRESH_FAILED,
    AUDIT_TOKEN_REJECTED, /* an app reported that the API refused it */
    AUDIT_TOKEN_RELEASED, /* an app is done with what it held */
    AUDIT_ACCOUNT_ADDED,
    AUDIT_ACCOUNT_REMOVED,
    AUDIT_ACCOUNT_RENAMED, /* the new label may be a person's name, and is not told */
    AUDIT_ACCOUNT_CHANGED, /* another default */
    AUDIT_POLICY_LOADED,
    AUDIT_POLICY_REJECTED, /* detail: file and line */
    AUDIT_KEY_CREATED,
    AUDIT_KEY_ROTATED, /* detail: the new key's id */
    /* Of the app that the answer is about; the uid is that of who answered. decided_by: prompt or command;
     * detail: once, logout or until (then expires_sec says when). */
    AUDIT_CONSENT_GIVEN,
    AUDIT_CONSENT_REFUSED,
    AUDIT_CONSENT_REVOKED, /* the answers to these scopes are forgotten */
    AUDIT_CONSENT_EXPIRED,
    /* Of the trail itself. */
    AUDIT_TRAIL_KEY_CREATED, /* first of a new chain of keys; detail: how it came to it, and the key's id */
    AUDIT_TRAIL_SEALED,      /* last of its epoch */
    AUDIT_TRAIL_PRUNED,      /* detail: up to which record */
    AUDIT_TRAIL_DAMAGED,     /* found at start: records are missing at its end, or were altered */
    AUDIT_EVENT_COUNT
};

/* In place of an event: what stands in the database is no record that a broker wrote. Never written. */
#define AUDIT_UNREADABLE "unreadable"

const char *audit_event_name(enum audit_event event); /* "token-disclosed" */
/* The event of a name, or -1. */
int audit_event_from_name(const char *name);
