/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A record of the trail as the datagram that a collector of logs takes. Whatever is in a record's texts, the
 * datagram says no more and no less than the record: a text cannot end its field, or begin another record. */

#include "broker/audit.h"

#define SINK_IDENTIFIER "lwa-brokerd"
#define SINK_SENTENCE_SIZE 1024

struct sink_buffer {
    char *bytes; /* owned */
    size_t n;
    size_t n_allocated;
    int error; /* -ENOMEM sticks */
};

void sink_buffer_clear(struct sink_buffer *b);
void sink_buffer_add(struct sink_buffer *b, const void *bytes, size_t n);
void sink_buffer_add_text(struct sink_buffer *b, const char *text);

/* What a record says, field by field, in a fixed order: `name` as in SCOPES_ASKED. Empty fields are left out.
 */
typedef void (*sink_visitor)(const char *name, const char *value, void *userdata);
void sink_foreach_field(const struct audit_record *record, sink_visitor visitor, void *userdata);

/* A sentence for people: ASCII, one line. */
void sink_sentence(const struct audit_record *record, char ret[SINK_SENTENCE_SIZE]);
/* As of syslog: 2 (critical) to 6 (informational). */
int sink_priority(enum audit_event event);

/* journald's native protocol: a line "NAME=value" for each field, or where the value has a line break the
 * name, a line break, the length in 8 bytes, the value and a line break. */
#define SINK_JOURNAL_PATH "/run/systemd/journal/socket"
void sink_journal_format(const struct audit_record *record, struct sink_buffer *b);
/* One line of ASCII: priority, time, identifier, the sentence, and the fields as name="value". */
#define SINK_SYSLOG_PATH "/dev/log"
void sink_syslog_format(const struct audit_record *record, struct sink_buffer *b);
