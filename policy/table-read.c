/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A good file: each entry is taken into the section that is being read, and the sets of a section are made
 * ready when all of it is there. */

#include "policy/table-internal.h"

#include "policy/app-name.h"
#include "util/edit-distance.h"

#include <string.h>
#include <time.h>

#define EXE "exe:"
#define ACCOUNT_BYTES_MAX 32
#define DESCRIPTION_BYTES_MAX 256
#define SEC_PER_DAY 86400
#define KEYS 9

struct reading {
    const struct catalogue *c;
    const char *file;
    struct sections sections;
    struct section *section; /* the one being read */
    unsigned lines[KEYS];    /* where each key was first set in this section; 0: not yet */
};

static void reading_clear(struct reading *r)
{
    sections_clear(&r->sections);
}

/* --- heads ---------------------------------------------------------------------------------------------- */

/* Absolute, and in the one way to write it that the kernel uses. */
static bool is_exe(const char *path)
{
    size_t n = strlen(path);
    return n > 1 && path[0] == '/' && path[n - 1] != '/' && !strstr(path, "//") && !strstr(path, "/./") &&
           !strstr(path, "/../") && strcmp(path + n - 2, "/.") != 0 &&
           (n < 3 || strcmp(path + n - 3, "/..") != 0);
}

static int section_new(const struct reading *r, const char *app, const char *exe,
                       const struct ini_entry *entry, struct section **ret)
{
    _cleanup_(section_freep) struct section *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->app = strdup(app);
    s->exe = strdup(exe);
    s->text = strdup(entry->section);
    if (!s->app || !s->exe || !s->text)
        return -ENOMEM;
    s->file = r->file;
    s->line = entry->line;
    s->lines[TABLE_CONDITION_EXE] = exe[0] ? entry->line : 0;
    *ret = TAKE_PTR(s);
    return 0;
}

static int take_head(struct reading *r, const struct ini_entry *entry, struct ini_problem *problem)
{
    _cleanup_free_ char *app = strdup(entry->section);
    if (!app)
        return -ENOMEM;
    const char *exe = "";
    char *blank = strpbrk(app, " \t");
    if (blank) {
        exe = blank + strspn(blank, " \t");
        *blank = '\0';
        if (strncmp(exe, EXE, strlen(EXE)) != 0)
            return ini_refuse(problem, "after the app \"%.60s\" there can only be exe: and a path", app);
        exe += strlen(EXE);
        if (!is_exe(exe))
            return ini_refuse(problem, "\"%.80s\" is no absolute path in its shortest form", exe);
    }
    if (app_kind_from_name(app) < 0)
        return ini_refuse(problem,
                          "\"%.60s\" does not name an app: user:NAME, uid:NUMBER, unit:NAME.service, "
                          "flatpak:ID or snap:NAME.APP",
                          app);
    _cleanup_(section_freep) struct section *s = NULL;
    int error = section_new(r, app, exe, entry, &s);
    if (error == 0)
        error = sections_add(&r->sections, s);
    if (error < 0)
        return error;
    r->section = TAKE_PTR(s);
    memset(r->lines, 0, sizeof(r->lines));
    return 0;
}

/* --- values --------------------------------------------------------------------------------------------- */

static int refuse_scope(const struct reading *r, const char *name, struct ini_problem *problem)
{
    const char *nearest = catalogue_nearest(r->c, name);
    if (name[0] == '#')
        return ini_refuse(problem,
                          "\"#\" begins a comment only at the start of a line; within one \";\" does");
    if (nearest)
        return ini_refuse(problem, "scope \"%s\" is in no catalogue; the nearest is \"%s\"", name, nearest);
    return ini_refuse(problem, "scope \"%s\" is in no catalogue", name);
}

static int add_entry(struct reading *r, enum verdict key, const struct ini_entry *from, const char *name,
                     struct ini_problem *problem)
{
    int scope = catalogue_find(r->c, name);
    if (scope < 0)
        return refuse_scope(r, name, problem);
    struct section *s = r->section;
    struct entry *entries = reallocarray(s->entries, s->n_entries + 1, sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    s->entries = entries;
    entries[s->n_entries++] = (struct entry){.key = key, .scope = scope, .line = from->line};
    return 0;
}

static int take_allow(struct reading *r, const struct ini_entry *entry, const char *value,
                      struct ini_problem *problem)
{
    return add_entry(r, VERDICT_ALLOW, entry, value, problem);
}

static int take_ask(struct reading *r, const struct ini_entry *entry, const char *value,
                    struct ini_problem *problem)
{
    return add_entry(r, VERDICT_ASK, entry, value, problem);
}

static int take_deny(struct reading *r, const struct ini_entry *entry, const char *value,
                     struct ini_problem *problem)
{
    return add_entry(r, VERDICT_DENY, entry, value, problem);
}

static int take_account(struct reading *r, const struct ini_entry *entry _unused_, const char *value,
                        struct ini_problem *problem)
{
    size_t n = strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (n == 0 || n > ACCOUNT_BYTES_MAX || value[n] != '\0')
        return ini_refuse(problem, "\"%.60s\" is no account's id: lwactl accounts shows them", value);
    return strv_add(&r->section->accounts, value);
}

static int take_user(struct reading *r, const struct ini_entry *entry _unused_, const char *value,
                     struct ini_problem *problem)
{
    if (!app_user_is_valid(value))
        return ini_refuse(problem, "\"%.80s\" is no user's name or number", value);
    return strv_add(&r->section->users, value);
}

static int take_description(struct reading *r, const struct ini_entry *entry _unused_, const char *value,
                            struct ini_problem *problem)
{
    struct section *s = r->section;
    char *text = NULL;
    if (asprintf(&text, "%s%s%s", s->description ? s->description : "", s->description ? " " : "", value) < 0)
        return -ENOMEM;
    free(s->description);
    s->description = text;
    if (strlen(text) > DESCRIPTION_BYTES_MAX)
        return ini_refuse(problem, "the description is longer than %d bytes", DESCRIPTION_BYTES_MAX);
    return 0;
}

static int take_strength(struct reading *r, const struct ini_entry *entry _unused_, const char *value,
                         struct ini_problem *problem)
{
    int strength = subject_strength_from_name(value);
    if (strength < 0)
        return ini_refuse(problem, "require_strength is asserted, uid, sandbox, unit or label, not \"%.40s\"",
                          value);
    r->section->strength = (enum subject_strength)strength;
    return 0;
}

static int take_pinned(struct reading *r, const struct ini_entry *entry _unused_, const char *value,
                       struct ini_problem *problem)
{
    r->section->is_pinned = strcmp(value, "yes") == 0;
    if (!r->section->is_pinned && strcmp(value, "no") != 0)
        return ini_refuse(problem, "require_pinned is yes or no, not \"%.40s\"", value);
    return 0;
}

/* `pattern` has a 9 for every digit. */
static bool looks_like(const char *text, const char *pattern)
{
    for (; *pattern; text++, pattern++)
        if (*pattern == '9' ? *text < '0' || *text > '9' : *text != *pattern)
            return false;
    return *text == '\0';
}

static int number(const char *digits, size_t n)
{
    int value = 0;
    for (size_t i = 0; i < n; i++)
        value = 10 * value + (digits[i] - '0');
    return value;
}

/* A date holds until the day is over, in UTC. */
static bool read_expiry(const char *text, int64_t *ret_sec)
{
    bool is_date = looks_like(text, "9999-99-99");
    if (!is_date && !looks_like(text, "9999-99-99T99:99:99Z"))
        return false;
    struct tm same, tm = {
                        .tm_year = number(text, 4) - 1900,
                        .tm_mon = number(text + 5, 2) - 1,
                        .tm_mday = number(text + 8, 2),
                        .tm_hour = is_date ? 0 : number(text + 11, 2),
                        .tm_min = is_date ? 0 : number(text + 14, 2),
                        .tm_sec = is_date ? 0 : number(text + 17, 2),
                    };
    struct tm made = tm;
    time_t sec = timegm(&made);
    if (sec <= 0 || !gmtime_r(&sec, &same) || same.tm_mday != tm.tm_mday || same.tm_mon != tm.tm_mon ||
        same.tm_hour != tm.tm_hour || same.tm_min != tm.tm_min || same.tm_sec != tm.tm_sec)
        return false; /* there is no such day, or time of day */
    *ret_sec = (int64_t)sec + (is_date ? SEC_PER_DAY : 0);
    return true;
}

static int take_expires(struct reading *r, const struct ini_entry *entry _unused_, const char *value,
                        struct ini_problem *problem)
{
    if (!read_expiry(value, &r->section->expires_sec))
        return ini_refuse(
            problem, "expires is a date in UTC, 2027-01-31 or 2027-01-31T12:00:00Z, not \"%.40s\"", value);
    return 0;
}

/* --- keys ----------------------------------------------------------------------------------------------- */

enum form {
    FORM_ONCE,   /* one value, on one line */
    FORM_TEXT,   /* one value, which may be continued */
    FORM_SCOPES, /* a list, which may be empty */
    FORM_LIST,   /* a list that narrows: an empty one would not */
};

static const struct key {
    const char *name;
    int (*take)(struct reading *r, const struct ini_entry *entry, const char *value,
                struct ini_problem *problem);
    enum form form;
    enum table_condition condition;
} keys[KEYS] = {
    {"accounts", take_account, FORM_LIST, TABLE_CONDITION_ACCOUNTS},
    {"allow", take_allow, FORM_SCOPES, TABLE_CONDITION_NONE},
    {"ask", take_ask, FORM_SCOPES, TABLE_CONDITION_NONE},
    {"deny", take_deny, FORM_SCOPES, TABLE_CONDITION_NONE},
    {"description", take_description, FORM_TEXT, TABLE_CONDITION_NONE},
    {"expires", take_expires, FORM_ONCE, TABLE_CONDITION_EXPIRES},
    {"require_pinned", take_pinned, FORM_ONCE, TABLE_CONDITION_PINNED},
    {"require_strength", take_strength, FORM_ONCE, TABLE_CONDITION_STRENGTH},
    {"user", take_user, FORM_LIST, TABLE_CONDITION_USER},
};

/* The key of this name; else NULL, and the nearest one in the problem. */
static const struct key *find_key(const char *name, struct ini_problem *problem)
{
    const struct key *nearest = &keys[0];
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
        if (edit_distance(keys[i].name, name) < edit_distance(nearest->name, name))
            nearest = &keys[i];
    }
    (void)ini_refuse(problem, "unknown key \"%.40s\"; the nearest is \"%s\"", name, nearest->name);
    return NULL;
}

static int take_list(struct reading *r, const struct key *key, const struct ini_entry *entry,
                     struct ini_problem *problem)
{
    _cleanup_strv_ struct strv values = STRV_EMPTY;
    int error = strv_split(&values, entry->value, " \t,");
    if (error == 0 && values.n == 0 && key->form == FORM_LIST)
        return ini_refuse(problem, "%s names nobody: leave it out, or put the first name on this line",
                          entry->key);
    for (size_t i = 0; error == 0 && i < values.n; i++)
        error = key->take(r, entry, values.items[i], problem);
    return error;
}

static int take_entry(const struct ini_entry *entry, struct ini_problem *problem, void *userdata)
{
    struct reading *r = userdata;
    if (!entry->key)
        return take_head(r, entry, problem);
    const struct key *key = find_key(entry->key, problem);
    if (!key)
        return INI_E_MALFORMED;

    unsigned *line = &r->lines[key - keys];
    bool is_list = key->form == FORM_SCOPES || key->form == FORM_LIST;
    if (!is_list && *line && !entry->continues)
        return ini_refuse(problem, "%s is set again; it was set on line %u", entry->key, *line);
    if (key->form == FORM_ONCE && entry->continues)
        return ini_refuse(problem, "%s must stand on one line: this one is indented", entry->key);
    if (*line == 0) {
        *line = entry->line;
        if (key->condition != TABLE_CONDITION_NONE)
            r->section->lines[key->condition] = entry->line;
    }
    return is_list ? take_list(r, key, entry, problem) : key->take(r, entry, entry->value, problem);
}

/* --- files ---------------------------------------------------------------------------------------------- */

static void prepare(struct section *s, const struct catalogue *c)
{
    struct scope_set written[3] = {SCOPE_SET_EMPTY, SCOPE_SET_EMPTY, SCOPE_SET_EMPTY};
    for (size_t i = 0; i < s->n_entries; i++)
        scope_set_add(&written[s->entries[i].key], s->entries[i].scope);
    s->deny_up = catalogue_expand_up(c, written[VERDICT_DENY]);
    s->ask_up = catalogue_expand_up(c, written[VERDICT_ASK]);
    s->ask_down = catalogue_expand(c, written[VERDICT_ASK]);
    s->allow_down = catalogue_expand(c, written[VERDICT_ALLOW]);
}

int table_read(const struct catalogue *c, const char *file, const char *text, size_t n, struct sections *ret,
               struct ini_problem *ret_problem)
{
    _cleanup_(reading_clear) struct reading reading = {.c = c, .file = file};
    int r = ini_parse_text(text, n, take_entry, &reading, ret_problem);
    if (r != 0)
        return r;
    for (size_t i = 0; i < reading.sections.n; i++)
        prepare(reading.sections.items[i], c);
    *ret = reading.sections;
    reading.sections = (struct sections){NULL, 0};
    return 0;
}
