/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/sink-format.h"

#include <string.h>

#define PREFIX "LWA_" /* names that begin with an underscore are journald's own */

static void add_length(struct sink_buffer *b, uint64_t n)
{
    unsigned char little[8];
    for (size_t i = 0; i < sizeof(little); i++)
        little[i] = (unsigned char)(n >> (8 * i));
    sink_buffer_add(b, little, sizeof(little));
}

static void add_field(struct sink_buffer *b, const char *prefix, const char *name, const char *value)
{
    sink_buffer_add_text(b, prefix);
    sink_buffer_add_text(b, name);
    if (strchr(value, '\n')) {
        sink_buffer_add(b, "\n", 1);
        add_length(b, strlen(value));
    } else {
        sink_buffer_add(b, "=", 1);
    }
    sink_buffer_add_text(b, value);
    sink_buffer_add(b, "\n", 1);
}

static void on_field(const char *name, const char *value, void *userdata)
{
    add_field(userdata, PREFIX, name, value);
}

void sink_journal_format(const struct audit_record *record, struct sink_buffer *b)
{
    char sentence[SINK_SENTENCE_SIZE];
    const char priority[] = {(char)('0' + sink_priority(record->event)), '\0'};
    sink_sentence(record, sentence);
    add_field(b, "", "MESSAGE", sentence);
    add_field(b, "", "PRIORITY", priority);
    add_field(b, "", "SYSLOG_FACILITY", "10"); /* authpriv */
    add_field(b, "", "SYSLOG_IDENTIFIER", SINK_IDENTIFIER);
    sink_foreach_field(record, on_field, b);
}
