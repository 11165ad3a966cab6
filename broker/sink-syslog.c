/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/sink-format.h"

#include <string.h>
#include <time.h>

#define FACILITY_AUTHPRIV 10
#define LINE_BYTES_MAX 7900 /* of 8 KiB, which syslog daemons take */

/* A line that is too long ends where a field ends, and says so. */
static void add_field(struct sink_buffer *b, const struct sink_buffer *field)
{
    if (b->error < 0 || field->error < 0)
        b->error = -ENOMEM;
    else if (b->n + field->n <= LINE_BYTES_MAX)
        sink_buffer_add(b, field->bytes, field->n);
    else if (b->n < LINE_BYTES_MAX || b->bytes[b->n - 1] != '.')
        sink_buffer_add_text(b, " ...");
}

static void add_quoted(struct sink_buffer *b, const char *value)
{
    for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
        char text[8];
        if (*c < 0x20 || *c > 0x7e)
            (void)snprintf(text, sizeof(text), "\\x%02x", *c);
        else
            (void)snprintf(text, sizeof(text), "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
        sink_buffer_add_text(b, text);
    }
}

static void on_field(const char *name, const char *value, void *userdata)
{
    struct sink_buffer field = {NULL};
    sink_buffer_add(&field, " ", 1);
    for (const char *c = name; *c; c++) {
        char lower = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
        sink_buffer_add(&field, &lower, 1);
    }
    sink_buffer_add_text(&field, "=\"");
    add_quoted(&field, value);
    sink_buffer_add_text(&field, "\"");
    add_field(userdata, &field);
    sink_buffer_clear(&field);
}

/* As syslog(3) writes it to the local socket. */
static void add_head(struct sink_buffer *b, const struct audit_record *record)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    char head[96];
    time_t when = (time_t)record->time_sec;
    struct tm tm = {.tm_mday = 1};
    (void)localtime_r(&when, &tm);
    (void)snprintf(head, sizeof(head),
                   "<%d>%s %2d %02d:%02d:%02d %s[%d]: ", 8 * FACILITY_AUTHPRIV + sink_priority(record->event),
                   months[tm.tm_mon % 12], tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, SINK_IDENTIFIER,
                   (int)getpid());
    sink_buffer_add_text(b, head);
}

void sink_syslog_format(const struct audit_record *record, struct sink_buffer *b)
{
    char sentence[SINK_SENTENCE_SIZE];
    sink_sentence(record, sentence);
    add_head(b, record);
    sink_buffer_add_text(b, sentence);
    sink_foreach_field(record, on_field, b);
}
