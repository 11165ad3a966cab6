/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The name that follows from the facts. Pure. */

#include "broker/identity.h"
#include "policy/table.h"

struct subject identity_subject(const struct identity *id)
{
    return (struct subject){
        .app = id->app,
        .user = id->user,
        .exe = id->exe,
        .uid = id->uid,
        .kind = id->kind,
        .strength = id->strength,
        .is_pinned = id->is_pinned,
    };
}

const char *identity_kind_name(const struct identity *id)
{
    return subject_kind_name(id->kind);
}

const char *identity_strength_name(const struct identity *id)
{
    return subject_strength_name(id->strength);
}

bool identity_is_sandboxed(const struct identity *id)
{
    return id->flatpak[0] || id->kind == SUBJECT_FLATPAK || id->kind == SUBJECT_SNAP ||
           id->kind == SUBJECT_UNKNOWN;
}

static void set(struct identity *id, const char *prefix, const char *name, enum subject_kind kind,
                enum subject_strength strength)
{
    (void)snprintf(id->app, sizeof(id->app), "%s%s", prefix, name);
    id->kind = kind;
    id->strength = strength;
}

/* With what names it otherwise set already: that is the subject the table is asked about. */
static void name_after_unit(struct identity *id, const struct table *table)
{
    char app[IDENTITY_APP_SIZE];
    if (!id->unit[0])
        return;
    (void)snprintf(app, sizeof(app), "unit:%s", id->unit);
    struct subject subject = identity_subject(id);
    if (subject_is_system_uid(id->uid) || table_speaks_of(table, app, &subject))
        set(id, "", app, SUBJECT_SYSTEM_UNIT, STRENGTH_UNIT);
}

void identity_name(struct identity *id, const struct table *table)
{
    char number[16];
    (void)snprintf(number, sizeof(number), "%u", (unsigned)id->uid);
    if (id->label == SNAP_LABEL_APP) {
        set(id, "", id->snap, SUBJECT_SNAP, STRENGTH_LABEL);
        return;
    }
    if (id->label == SNAP_LABEL_UNUSABLE || (id->is_foreign && !id->flatpak[0]))
        set(id, "", "unknown", SUBJECT_UNKNOWN, STRENGTH_ASSERTED);
    else if (id->flatpak[0])
        set(id, "flatpak:", id->flatpak, SUBJECT_FLATPAK, STRENGTH_SANDBOX);
    else if (id->user[0])
        set(id, "user:", id->user, SUBJECT_USER, STRENGTH_UID);
    else
        set(id, "uid:", number, SUBJECT_USER, STRENGTH_UID);
    if (id->label != SNAP_LABEL_UNUSABLE)
        name_after_unit(id, table);
}
