/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/store-internal.h"

#include <string.h>

/* What is asked of the store, but for queries (store-queries.c): each call makes one operation with copies of
 * all that it needs, and queues it. What the operations do is in store-rows.c and its like. */

static void op_freep(struct store_op **op)
{
    store_op_free(*op);
}

int store_audit(struct store *s, struct audit_record *record, store_callback callback, void *userdata,
                struct store_op **ret_op)
{
    struct store_op *op = store_op_new(record, NULL);
    return op ? store_op_submit(s, op, callback, userdata, ret_op) : -ENOMEM;
}

static int copy_grant(struct store_op *op, const struct store_grant *grant)
{
    const struct {
        const char *from;
        const char **to;
    } texts[] = {
        {grant->target, &op->grant.target},     {grant->label, &op->grant.label},
        {grant->endpoint, &op->grant.endpoint}, {grant->client_id, &op->grant.client_id},
        {grant->flow, &op->grant.flow},         {grant->may_carry, &op->grant.may_carry},
        {grant->carries, &op->grant.carries},
    };
    op->grant.owner = grant->owner;
    op->grant.claimed = grant->claimed;
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(texts); i++)
        r = store_op_copy(op, texts[i].from, texts[i].to);
    return r;
}

int store_add_grant(struct store *s, const struct store_grant *grant, struct secret *token,
                    struct audit_record *record, store_callback callback, void *userdata,
                    struct store_op **ret_op)
{
    _cleanup_(op_freep) struct store_op *op = store_op_new(record, token);
    if (!op || copy_grant(op, grant) < 0)
        return -ENOMEM;
    op->run = store_rows_add_grant;
    op->names_grant = true;
    return store_op_submit(s, TAKE_PTR(op), callback, userdata, ret_op);
}

int store_refresh_begin(struct store *s, int64_t grant, uint64_t generation, enum store_token_which which,
                        store_callback callback, void *userdata, struct store_op **ret_op)
{
    struct store_op *op = store_op_new(NULL, NULL);
    if (!op)
        return -ENOMEM;
    op->run = store_rows_refresh_begin;
    op->row = grant;
    op->generation = generation;
    op->which = which;
    return store_op_submit(s, op, callback, userdata, ret_op);
}

int store_refresh_finish(struct store *s, int64_t grant, uint64_t generation, enum store_token_which which,
                         struct secret *rotated, struct audit_record *record, store_callback callback,
                         void *userdata, struct store_op **ret_op)
{
    if (s->stopping) {
        audit_record_free(record);
        return -ESHUTDOWN;
    }
    struct store_op *op = store_op_new(record, NULL);
    if (!op)
        return -ENOMEM;
    op->token = rotated;
    op->run = store_rows_refresh_finish;
    op->names_grant = true;
    op->row = grant;
    op->generation = generation;
    op->which = which;
    return store_op_submit(s, op, callback, userdata, ret_op);
}

int store_refresh_fail(struct store *s, int64_t grant, uint64_t generation, enum store_refresh_end end,
                       const char *reason, struct audit_record *record, store_callback callback,
                       void *userdata, struct store_op **ret_op)
{
    _cleanup_(op_freep) struct store_op *op = store_op_new(record, NULL);
    if (!op || store_op_copy(op, reason, &op->text) < 0)
        return -ENOMEM;
    op->run = store_rows_refresh_fail;
    op->names_grant = true;
    op->row = grant;
    op->generation = generation;
    op->end = end;
    return store_op_submit(s, TAKE_PTR(op), callback, userdata, ret_op);
}

static int copy_link(struct store_op *op, const struct store_link *link)
{
    op->to = *link;
    op->to.superseded = NULL;
    if (link->n_superseded > 0) {
        int64_t *rows = calloc(link->n_superseded, sizeof(*rows));
        if (!rows)
            return -ENOMEM;
        memcpy(rows, link->superseded, link->n_superseded * sizeof(*rows));
        op->to.superseded = rows;
    }
    int r = store_op_copy(op, link->id, &op->to.id);
    return r < 0 ? r : store_op_copy(op, link->label, &op->to.label);
}

int store_link(struct store *s, const struct store_link *link, struct audit_record *record,
               store_callback callback, void *userdata, struct store_op **ret_op)
{
    _cleanup_(op_freep) struct store_op *op = store_op_new(record, NULL);
    if (!op || copy_link(op, link) < 0)
        return -ENOMEM;
    op->run = store_rows_link;
    op->names_grant = true;
    op->truncates = link->n_superseded > 0;
    return store_op_submit(s, TAKE_PTR(op), callback, userdata, ret_op);
}

int store_remove_grant(struct store *s, int64_t grant, struct audit_record *record, store_callback callback,
                       void *userdata, struct store_op **ret_op)
{
    struct store_op *op = store_op_new(record, NULL);
    if (!op)
        return -ENOMEM;
    op->run = store_rows_remove_grant;
    op->names_grant = true;
    op->truncates = true;
    op->row = grant;
    return store_op_submit(s, op, callback, userdata, ret_op);
}

int store_remove_account(struct store *s, int64_t account, struct audit_record *record,
                         store_callback callback, void *userdata, struct store_op **ret_op)
{
    struct store_op *op = store_op_new(record, NULL);
    if (!op)
        return -ENOMEM;
    op->run = store_rows_remove_account;
    op->truncates = true;
    op->row = account;
    return store_op_submit(s, op, callback, userdata, ret_op);
}

int store_change_account(struct store *s, int64_t account, const char *label, bool make_default,
                         struct audit_record *record, store_callback callback, void *userdata,
                         struct store_op **ret_op)
{
    _cleanup_(op_freep) struct store_op *op = store_op_new(record, NULL);
    if (!op || (label && store_op_copy(op, label, &op->text) < 0))
        return -ENOMEM;
    op->run = store_rows_change_account;
    op->row = account;
    op->make_default = make_default;
    return store_op_submit(s, TAKE_PTR(op), callback, userdata, ret_op);
}

static int copy_consent(struct store_op *op, const struct store_consent *of)
{
    const struct {
        const char *from;
        const char **to;
    } texts[] = {
        {of->app, &op->consents.of.app},         {of->answer, &op->consents.of.answer},
        {of->lasts, &op->consents.of.lasts},     {of->how, &op->consents.of.how},
        {of->by_name, &op->consents.of.by_name},
    };
    op->consents.of = *of;
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(texts); i++)
        r = store_op_copy(op, texts[i].from, texts[i].to);
    return r;
}

static int copy_scopes(struct store_op *op, const struct store_consent_scopes *scopes,
                       struct store_consent_scopes *ret)
{
    ret->all = scopes->all;
    return scopes->names ? store_op_copy(op, scopes->names, &ret->names) : 0;
}

int store_change_consents(struct store *s, const struct store_consent_change *change,
                          struct audit_record *record, store_callback callback, void *userdata,
                          struct store_op **ret_op)
{
    _cleanup_(op_freep) struct store_op *op = store_op_new(record, NULL);
    if (!op || copy_consent(op, &change->of) < 0 ||
        copy_scopes(op, &change->drops_allow, &op->consents.drops_allow) < 0 ||
        copy_scopes(op, &change->drops_deny, &op->consents.drops_deny) < 0 ||
        (change->gives && store_op_copy(op, change->gives, &op->consents.gives) < 0))
        return -ENOMEM;
    op->run = store_rows_change_consents;
    return store_op_submit(s, TAKE_PTR(op), callback, userdata, ret_op);
}

int store_use_consents(struct store *s, int64_t account, const char *app, const char *scopes,
                       struct audit_record *record, store_callback callback, void *userdata,
                       struct store_op **ret_op)
{
    _cleanup_(op_freep) struct store_op *op = store_op_new(record, NULL);
    if (!op || store_op_copy(op, app, &op->consents.of.app) < 0 ||
        store_op_copy(op, scopes, &op->consents.drops_allow.names) < 0)
        return -ENOMEM;
    op->run = store_rows_use_consents;
    op->names_record = true;
    op->consents.of.account = account;
    return store_op_submit(s, TAKE_PTR(op), callback, userdata, ret_op);
}

int store_expire_consents(struct store *s, int64_t account, const char *app, int64_t now_sec,
                          struct audit_record *record, store_callback callback, void *userdata,
                          struct store_op **ret_op)
{
    _cleanup_(op_freep) struct store_op *op = store_op_new(record, NULL);
    if (!op || store_op_copy(op, app, &op->consents.of.app) < 0)
        return -ENOMEM;
    op->run = store_rows_expire_consents;
    op->consents.of.account = account;
    op->consents.of.until_sec = now_sec;
    return store_op_submit(s, TAKE_PTR(op), callback, userdata, ret_op);
}

int store_rekey(struct store *s, struct audit_record *record, store_callback callback, void *userdata,
                struct store_op **ret_op)
{
    _cleanup_(op_freep) struct store_op *op = store_op_new(record, NULL);
    if (!s->key_file)
        return -EOPNOTSUPP;
    if (!op || store_op_copy(op, s->key_file, &op->text) < 0)
        return -ENOMEM;
    op->run = store_rows_rekey;
    op->is_alone = true;
    op->truncates = true;
    return store_op_submit(s, TAKE_PTR(op), callback, userdata, ret_op);
}

int store_setup_audit(struct store *s, struct audit_record *record, store_callback callback, void *userdata,
                      struct store_op **ret_op)
{
    struct store_op *op = store_op_new(record, NULL);
    if (!op)
        return -ENOMEM;
    op->run = store_rows_setup_audit;
    op->names_record = true;
    op->is_alone = true;
    return store_op_submit(s, op, callback, userdata, ret_op);
}

int store_count_repeats(struct store *s, int64_t sequence, uint64_t repeats)
{
    if (s->stopping)
        return -ESHUTDOWN;
    uv_mutex_lock(&s->mutex);
    int r = store_repeats_set(s, sequence, repeats);
    uv_mutex_unlock(&s->mutex);
    return r;
}
