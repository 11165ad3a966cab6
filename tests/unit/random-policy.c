/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/random-policy.h"

#include "util/cleanup.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#define SEC_PER_DAY 86400
#define TODAY INT64_C(1893456000) /* 2030-01-01 */

/* Some that begin like others: names are compared whole. */
const char *const random_apps[N_APPS] = {
    "user:alice",
    "user:root",
    "uid:20001",
    "unit:music.service",
    "unit:musicd.service",
    "flatpak:org.example.Player",
    "flatpak:org.example.Player2",
    "snap:player.app",
    "snap:player.app2",
};

/* Of the app's kind: uid, uid, uid, unit, ... */
static const int strengths[N_APPS] = {1, 1, 1, 3, 3, 2, 2, 4, 4};
static const char *const strength_names[] = {"asserted", "uid", "sandbox", "unit", "label"};

const struct random_user random_users[N_USERS] = {
    {"alice", 1000, false}, {"root", 0, true},     {"", 20001, false},
    {"alic", 1001, false},  {"musicd", 900, true},
};
const char *const random_accounts[N_ACCOUNTS] = {"main", "main-2", "device"};
static const char *const programs[] = {"/usr/bin/player", "/usr/bin/player2"};

/* --- chance -----------------------------------------------------------------------------------------------
 */

static uint64_t random_state;

void random_seed(uint64_t seed)
{
    random_state = seed * 2 + 1; /* never 0, where the sequence would stand still */
}

static unsigned draw(unsigned below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)((random_state >> 33) % below);
}

static bool once_in(unsigned n)
{
    return draw(n) == 0;
}

static void draw_members(bool *members, size_t n, unsigned one_in)
{
    for (size_t i = 0; i < n; i++)
        members[i] = once_in(one_in);
}

static bool any(const bool *members, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (members[i])
            return true;
    return false;
}

/* --- writing ----------------------------------------------------------------------------------------------
 */

static void put(struct random_text *t, const char *format, ...) _printf_(2, 3);
static void put(struct random_text *t, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(t->text + t->n, TEXT_MAX - t->n, format, ap);
    va_end(ap);
    assert(n >= 0 && (size_t)n < TEXT_MAX - t->n);
    t->n += (size_t)n;
}

/* A list can be written on one line or several, with blanks or commas, with the key once or again. */
static void put_item(struct random_text *t, const char *key, size_t n_before, const char *item)
{
    static const char *const separators[] = {" ", ", ", ",", " ,\t", "\n    ", "\n\t"};
    if (n_before == 0)
        put(t, "%s%s%s", key, once_in(3) ? "=" : " = ", item);
    else if (once_in(6))
        put(t, "\n%s = %s", key, item);
    else
        put(t, "%s%s", separators[draw(ARRAY_SIZE(separators))], item);
}

static void put_scopes(struct random_text *t, const char *key, const bool *members)
{
    size_t n = 0;
    for (int i = 0; i < N_LISTED; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "s%d", i);
        if (members[i])
            put_item(t, key, n++, name);
    }
    put(t, n > 0 ? "\n" : "");
}

static void put_users(struct random_text *t, const bool *members)
{
    size_t n = 0;
    for (int i = 0; i < N_USERS; i++) {
        char number[16];
        (void)snprintf(number, sizeof(number), "%u", random_users[i].uid);
        bool by_number = random_users[i].name[0] == '\0' || once_in(3);
        if (members[i])
            put_item(t, "user", n++, by_number ? number : random_users[i].name);
    }
    put(t, "\n");
}

static void put_accounts(struct random_text *t, const bool *members)
{
    size_t n = 0;
    for (int i = 0; i < N_ACCOUNTS; i++)
        if (members[i])
            put_item(t, "accounts", n++, random_accounts[i]);
    put(t, "\n");
}

static void put_expiry(struct random_text *t, int64_t sec)
{
    time_t when = sec;
    struct tm tm;
    char text[32];
    bool at_midnight = sec % SEC_PER_DAY == 0 && once_in(2);
    when -= at_midnight ? SEC_PER_DAY : 0; /* a date alone is the last day that is good */
    (void)gmtime_r(&when, &tm);
    (void)strftime(text, sizeof(text), at_midnight ? "%Y-%m-%d" : "%Y-%m-%dT%H:%M:%SZ", &tm);
    put(t, "expires = %s\n", text);
}

/* --- the world --------------------------------------------------------------------------------------------
 */

void random_catalogue(struct naive_world *w, struct random_text *ret)
{
    memset(w, 0, sizeof(*w));
    ret->n = 0;
    unsigned one_in = 3 + draw(8);
    for (int i = 0; i < N_LISTED; i++) {
        put(ret, "[s%d]\ndescription = d\n", i);
        for (int k = 0; k < N_LISTED; k++)
            w->implies[i][k] = k > i && once_in(one_in);
        put_scopes(ret, "implies", w->implies[i]);
    }
    naive_prepare(w);
}

static void draw_section(struct naive_section *s)
{
    memset(s, 0, sizeof(*s));
    s->app = (int)draw(N_APPS);
    s->is_of_unit = strncmp(random_apps[s->app], "unit:", 5) == 0;
    s->exe = once_in(6) ? programs[draw(ARRAY_SIZE(programs))] : NULL;
    draw_members(s->allow, N_LISTED, 2 + draw(3));
    draw_members(s->ask, N_LISTED, 4 + draw(4));
    draw_members(s->deny, N_LISTED, 4 + draw(12));
    if (once_in(s->is_of_unit ? 2 : 6))
        draw_members(s->users, N_USERS, 2);
    s->has_users = any(s->users, N_USERS);
    if (once_in(6))
        draw_members(s->accounts, N_ACCOUNTS, 2);
    s->has_accounts = any(s->accounts, N_ACCOUNTS);
    s->strength = once_in(8) ? (int)draw(ARRAY_SIZE(strength_names)) : 0;
    s->needs_pinned = once_in(8);
    s->expires = once_in(6) ? TODAY + (int64_t)draw(5) * SEC_PER_DAY / 2 : INT64_MAX;
}

static void put_key(struct random_text *t, const struct naive_section *s, unsigned key)
{
    switch (key) {
    case 0:
        put_scopes(t, "allow", s->allow);
        break;
    case 1:
        put_scopes(t, "ask", s->ask);
        break;
    case 2:
        put_scopes(t, "deny", s->deny);
        break;
    case 3:
        if (s->has_users)
            put_users(t, s->users);
        break;
    case 4:
        if (s->has_accounts)
            put_accounts(t, s->accounts);
        break;
    case 5:
        if (s->strength > 0 || once_in(8))
            put(t, "require_strength = %s\n", strength_names[s->strength]);
        break;
    case 6:
        if (s->needs_pinned || once_in(8))
            put(t, "require_pinned = %s\n", s->needs_pinned ? "yes" : "no");
        break;
    default:
        if (s->expires != INT64_MAX)
            put_expiry(t, s->expires);
        break;
    }
}

static void put_section(struct random_text *t, const struct naive_section *s)
{
    put(t, once_in(4) ? "# a comment\n" : "");
    put(t, s->exe ? "[%s exe:%s]\n" : "[%s]\n", random_apps[s->app], s->exe);
    put(t, once_in(4) ? "description = it = so\n    and so\n" : "");
    unsigned first = draw(8); /* the keys, in one of many orders */
    unsigned step = once_in(2) ? 1 : 3;
    for (unsigned i = 0; i < 8; i++)
        put_key(t, s, (first + i * step) % 8);
    put(t, once_in(2) ? "\n" : "");
}

static const char *const mistakes[] = {
    "colour = red\n",
    "allow = s0 s99\n",
    "deny s1\n",
    "[nobody]\n",
    "require_strength = brute\n",
    "require_pinned = perhaps\n",
    "expires = 2030-02-30\n",
    "accounts = MAIN\n",
    "user = a:b\n",
    "[user:\n",
};

static void draw_file(struct naive_world *w, struct random_text *t)
{
    bool is_malformed = once_in(12);
    unsigned n = draw(5);
    t->n = 0;
    t->text[0] = '\0';
    for (unsigned i = 0; i < n && w->n_sections < SECTIONS_MAX; i++) {
        struct naive_section *s = &w->sections[w->n_sections];
        draw_section(s);
        put_section(t, s);
        if (is_malformed)
            w->is_shut[s->app] = true;
        else
            w->n_sections++;
    }
    put(t, "%s", is_malformed ? mistakes[draw(ARRAY_SIZE(mistakes))] : "");
}

void random_table(struct naive_world *w, struct random_files *ret)
{
    ret->n = 1 + draw(FILES_MAX - 1);
    for (size_t i = 0; i < ret->n; i++) {
        ret->is_unreadable[i] = once_in(40);
        if (ret->is_unreadable[i])
            w->is_unreadable = true;
        else
            draw_file(w, &ret->files[i]);
    }
}

/* --- a case -----------------------------------------------------------------------------------------------
 */

static void draw_caller(const struct naive_world *w, struct naive_caller *ret)
{
    /* Mostly one whom the table names. */
    ret->app =
        w->n_sections > 0 && !once_in(6) ? w->sections[draw((unsigned)w->n_sections)].app : (int)draw(N_APPS);
    ret->user = strengths[ret->app] == 1 ? ret->app : (int)draw(N_USERS);
    ret->is_system = random_users[ret->user].is_system;
    ret->is_root = random_users[ret->user].uid == 0;
    ret->exe = once_in(4) ? "" : programs[draw(ARRAY_SIZE(programs))];
    ret->strength = strengths[ret->app];
    ret->is_pinned = !once_in(4);
}

/* Half of the time as the shipped rule answers, else whatever a rule of an administrator may say. */
static void draw_polkit(struct naive_case *c)
{
    bool shipped = once_in(2), strict = once_in(4);
    for (int i = 0; i < N_SCOPES; i++) {
        if (shipped)
            c->polkit[i] = (enum naive_polkit)c->verdicts[i];
        else
            c->polkit[i] = once_in(strict ? 3 : 12) ? NAIVE_NO : once_in(4) ? NAIVE_CHALLENGE : NAIVE_YES;
    }
}

static void draw_grant(const struct naive_case *c, struct naive_grant *g, size_t index)
{
    draw_members(g->carries, N_SCOPES, 3 + draw(6));
    if (once_in(2)) /* often one that can serve */
        for (int i = 0; i < N_SCOPES; i++)
            g->carries[i] = c->asked[i] || (g->carries[i] && c->verdicts[i] != NAIVE_DENY);
    for (int i = 0; i < N_SCOPES; i++)
        g->may_carry[i] = (g->carries[i] && !once_in(30)) || once_in(12);
    g->id = 100 - index * 7 % 5;
    g->expires = draw(3);
}

static bool is_given(const struct naive_world *w, const struct naive_case *c, int scope)
{
    for (int i = 0; i < N_SCOPES; i++)
        if (w->reaches[scope][i] && c->answers[i] == NAIVE_NO)
            return false;
    return true;
}

void random_case(const struct naive_world *w, struct naive_case *ret)
{
    memset(ret, 0, sizeof(*ret));
    draw_caller(w, &ret->caller);
    ret->account = (int)draw(N_ACCOUNTS + 1) - 1;
    ret->now = TODAY + (int64_t)draw(5) * SEC_PER_DAY / 2 - draw(2); /* also on the very second */
    ret->default_asks = once_in(3);
    draw_members(ret->consent_allows, N_LISTED, 2 + draw(8));
    draw_members(ret->consent_denies, N_LISTED, 6 + draw(12));
    ret->consent_denies_all = once_in(30);
    naive_judge(w, ret);

    draw_polkit(ret);
    naive_judge(w, ret);
    bool wants_given = !once_in(4); /* else a request is mostly denied */
    for (int i = 0; i < N_LISTED; i++)
        ret->asked[i] = once_in(3) && (!wants_given || is_given(w, ret, i));
    if (!any(ret->asked, N_LISTED))
        ret->asked[draw(N_LISTED)] = true;
    ret->n_grants = draw(GRANTS_MAX + 1);
    for (size_t i = 0; i < ret->n_grants; i++)
        draw_grant(ret, &ret->grants[i], i);
}
