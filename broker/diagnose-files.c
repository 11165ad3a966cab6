/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Modes and owners of what the broker reads and keeps. It is looked at in a worker of libuv's: a file system
 * can hang. What the worker touches is its own, and outlives a diagnosis that was dropped. */

#include "broker/diagnose-internal.h"

#include "broker/limits.h"
#include "util/file.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOKS_MAX 16

/* Who may do what with it. */
enum rule {
    RULE_CONFIG,        /* root's, writable by nobody else, readable by us */
    RULE_CONFIG_FOLDER, /* the same, with the files *.conf in it; it may be missing */
    RULE_GRANTS_FOLDER, /* the same; its files are named one by one */
    RULE_SECRET,        /* root's, writable by nobody else, readable by us and not by all */
    RULE_KEY,           /* ours or root's; for nobody else; it may be missing: made at the first start */
    RULE_KEY_FOLDER,    /* ours or root's, writable by nobody else */
    RULE_STATE_FOLDER,  /* ours, and closed to others */
    RULE_STATE,         /* the same; it may be missing */
};

struct look {
    enum rule rule;
    char *path; /* owned */
};

struct diagnose_files {
    uv_work_t work;
    struct diagnosis *diagnosis; /* NULL: dropped */
    int wait;
    uid_t own_uid;
    struct look looks[LOOKS_MAX];
    size_t n_looks;
    struct findings findings;
    struct strv grants; /* files of grants.d that are as they must be */
    unsigned n_good;
};

/* --- in the worker ----------------------------------------------------------------------------------- */

static void complain(struct diagnose_files *f, const char *path, const char *wrong, const char *fix)
{
    findings_add(&f->findings, CHECK_FILES, path, FINDING_PROBLEM, fix, "%s", wrong);
}

static bool check_owner(struct diagnose_files *f, const char *path, const struct stat *st, bool ours,
                        bool roots)
{
    char fix[160];
    if ((ours && st->st_uid == f->own_uid) || (roots && st->st_uid == 0))
        return true;
    (void)snprintf(fix, sizeof(fix), "`chown %s FILE`", roots ? "root:root" : "lwa-broker:lwa-broker");
    findings_add(&f->findings, CHECK_FILES, path, FINDING_PROBLEM, fix, "belongs to uid %u, and must be %s",
                 (unsigned)st->st_uid,
                 !roots ? "lwa-broker's"
                 : ours ? "lwa-broker's or root's"
                        : "root's");
    return false;
}

static bool check_mode(struct diagnose_files *f, const char *path, const struct stat *st, mode_t forbidden,
                       const char *fix)
{
    if ((st->st_mode & forbidden) == 0)
        return true;
    findings_add(&f->findings, CHECK_FILES, path, FINDING_PROBLEM, fix, "has mode %04o: %s",
                 (unsigned)st->st_mode & 07777,
                 st->st_mode & forbidden & 022 ? "others can write to it" : "others can read it");
    return false;
}

static bool may_be_missing(enum rule rule)
{
    return rule == RULE_CONFIG_FOLDER || rule == RULE_GRANTS_FOLDER || rule == RULE_KEY || rule == RULE_STATE;
}

static bool is_folder(enum rule rule)
{
    return rule == RULE_CONFIG_FOLDER || rule == RULE_GRANTS_FOLDER || rule == RULE_KEY_FOLDER ||
           rule == RULE_STATE_FOLDER;
}

static bool check_kind(struct diagnose_files *f, const char *path, const struct stat *st, enum rule rule)
{
    if (is_folder(rule) ? S_ISDIR(st->st_mode) : S_ISREG(st->st_mode))
        return true;
    complain(f, path, is_folder(rule) ? "is no folder" : "is no regular file",
             "Put the right thing in its place.");
    return false;
}

/* What the rule says of owner and mode. */
static bool check_rule(struct diagnose_files *f, const char *path, const struct stat *st, enum rule rule)
{
    switch (rule) {
    case RULE_CONFIG:
    case RULE_CONFIG_FOLDER:
    case RULE_GRANTS_FOLDER:
        return check_owner(f, path, st, false, true) && check_mode(f, path, st, 022, "`chmod go-w FILE`");
    case RULE_SECRET:
        return check_owner(f, path, st, false, true) &&
               check_mode(f, path, st, 026, "`chgrp lwa-broker FILE` and `chmod 0640 FILE`");
    case RULE_KEY:
        return check_owner(f, path, st, true, true) && check_mode(f, path, st, 077, "`chmod 0400 FILE`");
    case RULE_KEY_FOLDER:
        return check_owner(f, path, st, true, true) && check_mode(f, path, st, 022, "`chmod 0700 FILE`");
    case RULE_STATE_FOLDER:
        return check_owner(f, path, st, true, false) && check_mode(f, path, st, 077, "`chmod 0700 FILE`");
    case RULE_STATE:
        return check_owner(f, path, st, true, false) && check_mode(f, path, st, 077, "`chmod 0600 FILE`");
    }
    return false;
}

/* Of configuration anybody may read what is no secret; what is ours is ours alone. */
static const char *how_to_let_read(enum rule rule)
{
    if (rule == RULE_KEY || rule == RULE_KEY_FOLDER || rule == RULE_STATE_FOLDER)
        return "`chown lwa-broker:lwa-broker FILE`";
    if (rule == RULE_SECRET)
        return "`chgrp lwa-broker FILE` and `chmod 0640 FILE`";
    return is_folder(rule) ? "`chmod a+rx FILE`" : "`chmod a+r FILE`";
}

static bool check_reading(struct diagnose_files *f, const char *path, enum rule rule)
{
    if (rule == RULE_STATE || access(path, is_folder(rule) ? R_OK | X_OK : R_OK) == 0)
        return true;
    complain(f, path, "cannot be read by the user lwa-broker", how_to_let_read(rule));
    return false;
}

static void look_at(struct diagnose_files *f, const char *path, enum rule rule);

static void look_into(struct diagnose_files *f, const char *path, enum rule rule)
{
    _cleanup_strv_ struct strv files = STRV_EMPTY;
    int r = file_list(path, ".conf", LIMIT_TABLE_FILES, &files);
    if (r < 0)
        complain(f, path, strerrordesc_np(-r), "Make it a readable folder with fewer files.");
    for (size_t i = 0; r == 0 && i < files.n; i++) {
        size_t n_before = f->findings.n;
        look_at(f, files.items[i], RULE_CONFIG);
        if (rule == RULE_GRANTS_FOLDER && f->findings.n == n_before &&
            strv_add(&f->grants, files.items[i]) < 0)
            f->findings.error = -ENOMEM;
    }
}

static void look_at(struct diagnose_files *f, const char *path, enum rule rule)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        if (errno != ENOENT || !may_be_missing(rule))
            findings_add(&f->findings, CHECK_FILES, path, FINDING_PROBLEM,
                         "Put it there, and let the user lwa-broker reach it.", "cannot be looked at: %s",
                         strerrordesc_np(errno));
        return;
    }
    if (!check_kind(f, path, &st, rule) || !check_rule(f, path, &st, rule) || !check_reading(f, path, rule))
        return;
    f->n_good++;
    if (rule == RULE_CONFIG_FOLDER || rule == RULE_GRANTS_FOLDER)
        look_into(f, path, rule);
}

static void work(uv_work_t *request)
{
    struct diagnose_files *f = LIST_ENTRY(request, struct diagnose_files, work);
    for (size_t i = 0; i < f->n_looks; i++)
        look_at(f, f->looks[i].path, f->looks[i].rule);
}

/* --- on the loop ------------------------------------------------------------------------------------- */

static void files_free(struct diagnose_files *f)
{
    for (size_t i = 0; i < f->n_looks; i++)
        free(f->looks[i].path);
    findings_clear(&f->findings);
    strv_clear(&f->grants);
    free(f);
}

void diagnose_files_drop(struct diagnose_files *f)
{
    if (f)
        f->diagnosis = NULL;
}

static void copy_findings(struct findings *to, const struct findings *from)
{
    for (size_t i = 0; i < from->n; i++) {
        const struct finding *found = &from->items[i];
        findings_add(to, found->check, found->subject, found->level, found->fix, "%s", found->text);
    }
    if (from->error < 0)
        to->error = from->error;
}

static bool has_problem(const struct findings *f, const char *check, const char *file)
{
    size_t n = strlen(file);
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->items[i].check, check) == 0 && f->items[i].level != FINDING_OK &&
            strncmp(f->items[i].subject, file, n) == 0 &&
            (f->items[i].subject[n] == ':' || f->items[i].subject[n] == '\0'))
            return true;
    return false;
}

static void tell_grants(struct diagnosis *d, const struct strv *files)
{
    for (size_t i = 0; i < files->n; i++)
        if (!has_problem(&d->findings, CHECK_GRANTS, files->items[i]))
            findings_add(&d->findings, CHECK_GRANTS, files->items[i], FINDING_OK, NULL, "is well-formed");
    if (files->n == 0 && !has_problem(&d->findings, CHECK_GRANTS, d->broker->config->grants_dir))
        findings_add(&d->findings, CHECK_GRANTS, d->broker->config->grants_dir, FINDING_NOTE,
                     "Write a file NAME.conf there; lwa-broker-grants(5) has examples.",
                     "names no app: every app is decided by [policy] default");
}

static void after_work(uv_work_t *request, int status _unused_)
{
    struct diagnose_files *f = LIST_ENTRY(request, struct diagnose_files, work);
    struct diagnosis *d = f->diagnosis;
    if (d) {
        d->files = NULL;
        copy_findings(&d->findings, &f->findings);
        tell_grants(d, &f->grants);
        if (f->findings.n == 0)
            findings_add(&d->findings, CHECK_FILES, "", FINDING_OK, NULL,
                         "%u files and folders have the right owner and mode", f->n_good);
        diagnosis_done(d, f->wait);
    }
    files_free(f);
}

/* A NULL or empty path is none. */
static int add_look(struct diagnose_files *f, enum rule rule, const char *path)
{
    if (!path || !*path)
        return 0;
    char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    f->looks[f->n_looks++] = (struct look){rule, copy};
    return 0;
}

static int add_beside(struct diagnose_files *f, enum rule rule, const char *path, const char *tail)
{
    _cleanup_free_ char *joined = NULL;
    if (asprintf(&joined, "%s%s", path, tail) < 0) {
        joined = NULL;
        return -ENOMEM;
    }
    return add_look(f, rule, joined);
}

static int add_folder_of(struct diagnose_files *f, enum rule rule, const char *path)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *folder = slash && slash > path ? strndup(path, (size_t)(slash - path)) : NULL;
    return folder ? add_look(f, rule, folder) : 0;
}

static int choose(struct diagnose_files *f, const struct broker *broker)
{
    const struct config *c = broker->config;
    const char *state = broker->options.state_dir, *path = broker->options.config_path;
    int r = add_look(f, RULE_CONFIG, path);
    r = r < 0 ? r : add_beside(f, RULE_CONFIG_FOLDER, path, ".d");
    r = r < 0 ? r : add_look(f, RULE_CONFIG, c->scopes_file);
    r = r < 0 ? r : add_look(f, RULE_CONFIG_FOLDER, c->scopes_dir);
    r = r < 0 ? r : add_look(f, RULE_GRANTS_FOLDER, c->grants_dir);
    r = r < 0 ? r : add_look(f, RULE_SECRET, c->client_secret_file);
    r = r < 0 || c->key_credential[0] ? r : add_look(f, RULE_KEY, c->key_file);
    r = r < 0 || c->key_credential[0] ? r : add_folder_of(f, RULE_KEY_FOLDER, c->key_file);
    r = r < 0 ? r : add_look(f, RULE_STATE_FOLDER, state);
    r = r < 0 ? r : add_beside(f, RULE_STATE, state, "/broker.db");
    r = r < 0 ? r : add_beside(f, RULE_STATE, state, "/broker.db-wal");
    r = r < 0 ? r : add_beside(f, RULE_STATE, state, "/audit.key");
    return r;
}

void diagnose_files(struct diagnosis *d)
{
    struct diagnose_files *f = calloc(1, sizeof(*f));
    if (!f) {
        d->findings.error = -ENOMEM;
        return;
    }
    f->own_uid = geteuid();
    if (choose(f, d->broker) < 0) {
        d->findings.error = -ENOMEM;
        files_free(f);
        return;
    }
    f->diagnosis = d;
    f->wait = diagnosis_wait(d, CHECK_FILES, "");
    d->files = f;
    (void)uv_queue_work(d->broker->loop, &f->work, work, after_work); /* it only fails without a function */
}
