/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/sink-format.h"

#include <sodium.h>
#include <string.h>

#define BUFFER_FIRST_BYTES 1024

void sink_buffer_clear(struct sink_buffer *b)
{
    free(b->bytes);
    *b = (struct sink_buffer){NULL};
}

void sink_buffer_add(struct sink_buffer *b, const void *bytes, size_t n)
{
    if (b->error < 0 || n == 0) /* nothing may be copied to nowhere */
        return;
    if (n > b->n_allocated - b->n) {
        size_t size = b->n_allocated ? b->n_allocated : BUFFER_FIRST_BYTES;
        while (n > size - b->n)
            size *= 2;
        char *grown = realloc(b->bytes, size);
        if (!grown) {
            b->error = -ENOMEM;
            return;
        }
        b->bytes = grown;
        b->n_allocated = size;
    }
    memcpy(b->bytes + b->n, bytes, n);
    b->n += n;
}

void sink_buffer_add_text(struct sink_buffer *b, const char *text)
{
    sink_buffer_add(b, text, strlen(text));
}

/* --- fields ------------------------------------------------------------------------------------------ */

static void visit_text(const char *name, const char *text, sink_visitor visitor, void *userdata)
{
    if (text && text[0])
        visitor(name, text, userdata);
}

static void visit_number(const char *name, uint64_t number, sink_visitor visitor, void *userdata)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    if (number > 0)
        visitor(name, text, userdata);
}

/* Root's is a number as any other; only no uid is none. */
static void visit_uid(const char *name, uid_t uid, sink_visitor visitor, void *userdata)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)uid);
    if (uid != (uid_t)-1)
        visitor(name, text, userdata);
}

static void visit_bytes(const char *name, const unsigned char *bytes, size_t n, sink_visitor visitor,
                        void *userdata)
{
    char text[2 * AUDIT_HASH_BYTES + 1];
    visitor(name, sodium_bin2hex(text, sizeof(text), bytes, n), userdata);
}

static void visit_time(const struct audit_record *r, sink_visitor visitor, void *userdata)
{
    visit_number("SEQUENCE", (uint64_t)r->sequence, visitor, userdata);
    visit_number("TIME", (uint64_t)r->time_sec, visitor, userdata);
    visit_text("EVENT", audit_event_name(r->event), visitor, userdata);
}

static void visit_caller(const struct audit_record *r, sink_visitor visitor, void *userdata)
{
    visit_text("APP", r->app, visitor, userdata);
    visit_text("KIND", r->kind, visitor, userdata);
    visit_text("STRENGTH", r->strength, visitor, userdata);
    visit_text("UNIT", r->unit, visitor, userdata);
    visit_text("PROGRAM", r->program, visitor, userdata);
    visit_uid("UID", r->uid, visitor, userdata);
}

static void visit_deed(const struct audit_record *r, sink_visitor visitor, void *userdata)
{
    visit_text("ACCOUNT", r->account, visitor, userdata);
    visit_text("OWNER", r->owner, visitor, userdata);
    visit_uid("OWNER_UID", r->owner_uid, visitor, userdata);
    visit_text("SCOPES_ASKED", r->asked, visitor, userdata);
    visit_text("SCOPES_CARRIED", r->carried, visitor, userdata);
    visit_text("VERDICT", r->verdict, visitor, userdata);
    visit_text("DECIDED_BY", r->decided_by, visitor, userdata);
    visit_text("CHAIN", r->chain, visitor, userdata);
    visit_text("DETAIL", r->detail, visitor, userdata);
    visit_text("REQUEST", r->request, visitor, userdata);
    visit_number("GRANT", (uint64_t)r->grant, visitor, userdata);
    if (r->has_fingerprint)
        visit_bytes("TOKEN", r->fingerprint, sizeof(r->fingerprint), visitor, userdata);
    visit_number("EXPIRES_AT", (uint64_t)r->expires_sec, visitor, userdata);
}

static void visit_proof(const struct audit_record *r, sink_visitor visitor, void *userdata)
{
    visit_number("BOOT_TIME", r->boot_usec, visitor, userdata);
    visit_bytes("BOOT_ID", r->boot_id, sizeof(r->boot_id), visitor, userdata);
    visit_number("EPOCH", r->epoch, visitor, userdata);
    if (!r->has_hash)
        return;
    visit_bytes("HASH", r->hash, sizeof(r->hash), visitor, userdata);
    visit_bytes("SEAL", r->seal, sizeof(r->seal), visitor, userdata);
}

void sink_foreach_field(const struct audit_record *record, sink_visitor visitor, void *userdata)
{
    visit_time(record, visitor, userdata);
    visit_caller(record, visitor, userdata);
    visit_deed(record, visitor, userdata);
    visit_proof(record, visitor, userdata);
}

/* --- for people -------------------------------------------------------------------------------------- */

static const char *const sentences[AUDIT_EVENT_COUNT] = {
    [AUDIT_BROKER_STARTED] = "The broker has started",
    [AUDIT_BROKER_STOPPED] = "The broker has stopped",
    [AUDIT_BROKER_CRASHED] = "The broker had ended without having been stopped",
    [AUDIT_LOGIN_BEGUN] = "A login was begun",
    [AUDIT_LOGIN_FINISHED] = "A login was finished",
    [AUDIT_LOGIN_FAILED] = "A login failed",
    [AUDIT_GRANT_ADDED] = "A grant was added",
    [AUDIT_GRANT_REMOVED] = "A grant was removed",
    [AUDIT_GRANT_DIED] = "A grant has died",
    [AUDIT_GRANT_INTERRUPTED] = "A renewal had been interrupted",
    [AUDIT_TOKEN_DISCLOSED] = "A token was given to an app",
    [AUDIT_TOKEN_DENIED] = "A token was refused to an app",
    [AUDIT_TOKEN_REFRESHED] = "A token was renewed",
    [AUDIT_TOKEN_REFRESH_FAILED] = "A token could not be renewed",
    [AUDIT_TOKEN_REJECTED] = "An app says that the API refused its token",
    [AUDIT_TOKEN_RELEASED] = "An app is done with its token",
    [AUDIT_ACCOUNT_ADDED] = "An account was added",
    [AUDIT_ACCOUNT_REMOVED] = "An account was removed",
    [AUDIT_ACCOUNT_RENAMED] = "An account was renamed",
    [AUDIT_ACCOUNT_CHANGED] = "An account was changed",
    [AUDIT_POLICY_LOADED] = "The policy was read",
    [AUDIT_POLICY_REJECTED] = "A file of the policy was refused",
    [AUDIT_KEY_CREATED] = "The master key was made",
    [AUDIT_KEY_ROTATED] = "The master key was changed",
    [AUDIT_CONSENT_GIVEN] = "An app was allowed",
    [AUDIT_CONSENT_REFUSED] = "An app was denied",
    [AUDIT_CONSENT_REVOKED] = "What was answered about an app was forgotten",
    [AUDIT_CONSENT_EXPIRED] = "What was answered about an app has run out",
    [AUDIT_TRAIL_KEY_CREATED] = "The trail has a new key",
    [AUDIT_TRAIL_SEALED] = "An epoch of the trail was sealed",
    [AUDIT_TRAIL_PRUNED] = "The oldest records of the trail were removed",
    [AUDIT_TRAIL_DAMAGED] = "The trail is damaged",
};

/* Terminal escapes, line breaks and what turns the direction of writing end here; and quotation marks, in
 * which syslog's line has the fields behind it. */
static void append(char *sentence, const char *before, const char *text)
{
    if (!text || !text[0])
        return;
    size_t n = strlen(sentence);
    (void)snprintf(sentence + n, SINK_SENTENCE_SIZE - n, "%s", before);
    n += strlen(sentence + n);
    for (; *text && n + 1 < SINK_SENTENCE_SIZE; text++)
        sentence[n++] = *text < 0x20 || *text > 0x7e || *text == '"' ? '?' : *text;
    sentence[n] = '\0';
}

void sink_sentence(const struct audit_record *record, char ret[SINK_SENTENCE_SIZE])
{
    const char *scopes = record->carried && record->carried[0] ? record->carried : record->asked;
    (void)snprintf(ret, SINK_SENTENCE_SIZE, "%s", sentences[record->event]);
    append(ret, ": ", record->app);
    append(ret, ", account ", record->account);
    append(ret, " of ", record->account && record->account[0] ? record->owner : NULL);
    append(ret, ", ", record->verdict);
    append(ret, " by ", record->decided_by);
    append(ret, ", ", record->detail);
    append(ret, ", ", scopes);
}

int sink_priority(enum audit_event event)
{
    switch (event) {
    case AUDIT_TRAIL_DAMAGED:
        return 2;
    case AUDIT_BROKER_CRASHED:
    case AUDIT_GRANT_DIED:
    case AUDIT_GRANT_INTERRUPTED:
    case AUDIT_POLICY_REJECTED:
        return 4;
    case AUDIT_LOGIN_FAILED:
    case AUDIT_TOKEN_DENIED:
    case AUDIT_TOKEN_REFRESH_FAILED:
    case AUDIT_TOKEN_REJECTED:
    case AUDIT_CONSENT_REFUSED:
        return 5;
    default:
        return 6;
    }
}
