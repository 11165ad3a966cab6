/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/audit-line.h"

#include "broker/audit-text.h"
#include "broker/json.h"

#include <string.h>

/* What was wrong first; `n` counts the members that were read. */
struct reading {
    const struct json *json;
    size_t n;
    int r;
};

static void wrong(struct reading *in)
{
    if (in->r == 0)
        in->r = AUDIT_LINE_E_MALFORMED;
}

/* "" where something is wrong. */
static const char *get_text(struct reading *in, const char *key)
{
    const char *text;
    size_t n;
    if (json_get_string(in->json, key, &text, &n) != 0) {
        wrong(in);
        return "";
    }
    in->n++;
    return text;
}

static uint64_t get_number(struct reading *in, const char *key)
{
    uint64_t value;
    if (json_get_number(in->json, key, &value) != 0) {
        wrong(in);
        return 0;
    }
    in->n++;
    return value;
}

/* Absent: nobody. */
static uid_t get_uid(struct reading *in, const char *key)
{
    uint64_t value;
    int r = json_get_number(in->json, key, &value);
    if (r == JSON_E_ABSENT)
        return (uid_t)-1;
    if (r != 0 || value >= (uid_t)-1) {
        wrong(in);
        return (uid_t)-1;
    }
    in->n++;
    return (uid_t)value;
}

/* Whether they are there; "" says that they are not. */
static bool get_bytes(struct reading *in, const char *key, unsigned char *ret, size_t n)
{
    const char *text = get_text(in, key);
    if (!*text)
        return false;
    bool is_good = audit_text_to_bytes(text, strlen(text), ret, n);
    if (!is_good)
        wrong(in);
    return is_good;
}

static void get_texts(struct reading *in, struct audit_record *record)
{
    const struct {
        const char *key;
        char **text;
    } texts[] = {
        {"app", &record->app},         {"kind", &record->kind},       {"strength", &record->strength},
        {"unit", &record->unit},       {"program", &record->program}, {"account", &record->account},
        {"owner", &record->owner},     {"asked", &record->asked},     {"carried", &record->carried},
        {"verdict", &record->verdict}, {"chain", &record->chain},     {"decided_by", &record->decided_by},
        {"detail", &record->detail},   {"request", &record->request},
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        *texts[i].text = strdup(get_text(in, texts[i].key));
        if (!*texts[i].text)
            in->r = -ENOMEM;
    }
}

static void get_chain(struct reading *in, struct audit_record *record)
{
    record->epoch = get_number(in, "epoch");
    record->has_hash = get_bytes(in, "hash", record->hash, sizeof(record->hash));
    bool has_seal = get_bytes(in, "seal", record->seal, sizeof(record->seal));
    record->repeats = get_number(in, "repeats");
    record->repeats_epoch = get_number(in, "repeats_epoch");
    bool is_repeated = get_bytes(in, "repeats_seal", record->repeats_seal, sizeof(record->repeats_seal));
    if (has_seal != record->has_hash || is_repeated != (record->repeats_epoch != 0))
        wrong(in);
}

static void get_record(struct reading *in, struct audit_record *record)
{
    int event = audit_event_from_name(get_text(in, "event"));
    if (event < 0)
        wrong(in);
    else
        record->event = (enum audit_event)event;
    record->sequence = (int64_t)get_number(in, "sequence");
    record->time_sec = (int64_t)get_number(in, "time");
    record->uid = get_uid(in, "uid");
    record->owner_uid = get_uid(in, "owner_uid");
    record->grant = (int64_t)get_number(in, "grant");
    record->expires_sec = (int64_t)get_number(in, "expires_at");
    record->has_fingerprint = get_bytes(in, "token", record->fingerprint, sizeof(record->fingerprint));
    record->boot_usec = get_number(in, "boot_time");
    (void)get_bytes(in, "boot_id", record->boot_id, sizeof(record->boot_id));
    get_texts(in, record);
    get_chain(in, record);
    if (record->sequence == 0 || in->n != json_size(in->json))
        wrong(in);
}

int audit_line_parse(const char *line, size_t n, struct audit_record **ret)
{
    _cleanup_(json_freep) struct json *json = NULL;
    int r = json_parse(line, n, &json);
    if (r != 0)
        return r < 0 ? r : AUDIT_LINE_E_MALFORMED;
    _cleanup_(audit_record_freep) struct audit_record *record = audit_record_new(AUDIT_BROKER_STARTED);
    if (!record)
        return -ENOMEM;
    struct reading in = {.json = json};
    get_record(&in, record);
    if (in.r == 0)
        *ret = TAKE_PTR(record);
    return in.r;
}
