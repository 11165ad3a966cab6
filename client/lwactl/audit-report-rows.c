/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The report's tables, and its picture. Each cell also holds the title of its column, for where there is no
 * room to have them side by side. */

#include "client/lwactl/audit-report.h"
#include "client/lwactl/audit-show.h"
#include "client/lwactl/html.h"
#include "client/lwactl/shell-word.h"
#include "client/lwactl/text.h"

#include <inttypes.h>
#include <string.h>

/* --- tables ------------------------------------------------------------------------------------------- */

/* The roles are what the elements are anyway, but lose where the style shows them as cards. */
static void open_table(FILE *out, const char *name, const char *caption)
{
    (void)fprintf(
        out,
        "<div class=\"scroll\" role=\"region\" aria-label=\"%s\" tabindex=\"0\">\n<table role=\"table\" "
        "class=\"%s\">\n<caption>%s</caption>\n<thead role=\"rowgroup\"><tr role=\"row\">",
        name, name, caption);
}

static void write_title(FILE *out, const char *title)
{
    (void)fputs("<th scope=\"col\" role=\"columnheader\">", out);
    html_text(out, title);
    (void)fputs("</th>", out);
}

static void open_body(FILE *out)
{
    (void)fputs("</tr></thead>\n<tbody role=\"rowgroup\">\n", out);
}

static void close_table(FILE *out)
{
    (void)fputs("</tbody>\n</table>\n</div>\n", out);
}

static void open_cell(FILE *out, const char *title, const char *class)
{
    (void)fprintf(out, "<td role=\"cell\" class=\"%s\"><span class=\"label\">", class);
    html_text(out, title);
    (void)fputs("</span><span>", out);
}

static void close_cell(FILE *out)
{
    (void)fputs("</span></td>", out);
}

static void write_cell(FILE *out, const char *title, const char *text)
{
    open_cell(out, title, *text ? "" : "none");
    if (*text)
        html_text(out, text);
    else
        (void)fputs("-", out);
    close_cell(out);
}

/* Scopes are split at the blanks, a line each. */
static void write_scopes_cell(FILE *out, const char *title, struct json_object *list, const char *joined)
{
    _cleanup_strv_ struct strv scopes = STRV_EMPTY;
    _cleanup_free_ char *text = list ? values_join(list, " ") : strdup(joined);
    if (text)
        (void)!strv_split(&scopes, text, " ");
    open_cell(out, title, scopes.n > 0 ? "" : "none");
    for (size_t i = 0; i < scopes.n; i++) {
        (void)fputs(i > 0 ? "<br>" : "", out);
        html_text(out, scopes.items[i]);
    }
    (void)fputs(scopes.n > 0 ? "" : "-", out);
    close_cell(out);
}

static void write_time_cell(FILE *out, const char *title, int64_t when_sec)
{
    char when[TEXT_TIME_SIZE];
    open_cell(out, title, "n");
    (void)fprintf(out, "<time>%s</time>", text_time(when_sec, when));
    close_cell(out);
}

static void write_of(FILE *out, const char *word, const char *text)
{
    (void)fprintf(out, "<span class=\"more\">%s ", word);
    html_text(out, text);
    (void)fputs("</span>", out);
}

/* Whose it is, unless it is called like that. */
static void write_app(FILE *out, const char *app, const char *user)
{
    bool has_user = *user && !(strncmp(app, "user:", 5) == 0 && strcmp(app + 5, user) == 0);
    (void)fputs("<tr role=\"row\"><th scope=\"row\" role=\"rowheader\">", out);
    html_text(out, *app ? app : "-");
    if (has_user)
        write_of(out, "of", user);
    (void)fputs("</th>", out);
}

/* --- what is held now --------------------------------------------------------------------------------- */

static void write_holder(struct json_object *holder, int64_t now, FILE *out)
{
    char ends[TEXT_TIME_SIZE], at[TEXT_TIME_SIZE], name[AUDIT_APP_SIZE];
    int64_t expires_at = values_number(holder, "expires_at");
    bool is_unreadable = audit_is_unreadable(holder);
    const char *app = audit_app_cell(holder, name), *owner = values_text(holder, "owner");
    _cleanup_free_ char *command = shell_revoke(app, owner);
    write_app(out, app, values_text(holder, "user"));
    open_cell(out, "Account", "");
    html_text(out, values_text(holder, "account"));
    write_of(out, "of", audit_owner(owner));
    close_cell(out);
    write_scopes_cell(out, "Carries", values_list(holder, "scopes"), "");
    write_time_cell(out, "Given", values_number(holder, "since"));
    open_cell(out, "Ends", "n");
    (void)fprintf(out, "<time>%s</time><span class=\"more\">%s (when this was made)</span>",
                  text_time(expires_at, at), text_relative_time(expires_at, now, ends));
    close_cell(out);
    open_cell(out, "Take back", "");
    (void)fputs("<code>", out);
    html_text(out, command && !is_unreadable ? command : "");
    (void)fputs("</code>", out);
    close_cell(out);
    (void)fputs("</tr>\n", out);
}

void report_write_holders(const struct report *r, FILE *out)
{
    static const char *const titles[] = {"App", "Account", "Carries", "Given", "Ends", "Take back"};
    size_t n = values_count(r->holders);
    (void)fputs("<section>\n<h2>Held now</h2>\n", out);
    if (n == 0) {
        (void)fputs("<p>No app holds a token.</p>\n</section>\n", out);
        return;
    }
    open_table(out, "held",
               "Tokens that are out and have not ended. Login with Amazon has no revocation that the "
               "broker could call: an app that is revoked gets no further token, and the one it has works "
               "until it ends.");
    for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
        write_title(out, titles[i]);
    open_body(out);
    for (size_t i = 0; i < n; i++)
        write_holder(values_item(r->holders, i), r->now_sec, out);
    close_table(out);
    if (r->has_more_holders)
        (void)fprintf(out, "<p class=\"note\">There are more: these are %d of them.</p>\n",
                      REPORT_HOLDERS_MAX);
    (void)fputs("</section>\n", out);
}

/* --- the matrix --------------------------------------------------------------------------------------- */

static void write_when(FILE *out, const char *words, int64_t when_sec)
{
    char when[TEXT_TIME_SIZE];
    if (when_sec > 0)
        (void)fprintf(out, "<span class=\"more\">%s <time>%s</time></span>", words,
                      text_time(when_sec, when));
}

static void write_matrix_cell(struct json_object *row, const char *scope, int64_t now, FILE *out)
{
    static const struct {
        const char *class, *words;
    } states[] = {
        [MATRIX_HELD] = {"good", "\xe2\x97\x8f held"},
        [MATRIX_REFUSED] = {"bad", "\xe2\x9c\x97 refused"},
        [MATRIX_UNMET] = {"bad", "\xe2\x9c\x97 got none"},
        [MATRIX_USED] = {"", "\xe2\x97\x8b used"},
        [MATRIX_UNUSED] = {"warn", "\xe2\x80\x93 not used"},
        [MATRIX_NONE] = {"", ""},
    };
    enum matrix_state state = row ? matrix_state_of(row, now) : MATRIX_NONE;
    const char *allowed = values_text(row, "allowed");
    open_cell(out, scope, state == MATRIX_NONE ? "none" : "");
    (void)fprintf(out, "<strong class=\"%s\">%s</strong>", states[state].class, states[state].words);
    if (state != MATRIX_NONE && state != MATRIX_REFUSED && strcmp(allowed, "allow") != 0)
        (void)fprintf(out, "<span class=\"more\">%s</span>",
                      strcmp(allowed, "ask") == 0 ? "someone is asked" : "may not any more");
    if (state == MATRIX_HELD)
        write_when(out, "until", values_number(row, "held_until"));
    if (state == MATRIX_USED)
        write_when(out, "last", values_number(row, "used_at"));
    if (state == MATRIX_REFUSED || state == MATRIX_UNMET) {
        write_when(out, "last", values_number(row, "denied_at"));
        (void)fprintf(out, "<span class=\"more\">asked %" PRId64 " time%s</span>",
                      values_number(row, "asked"), values_number(row, "asked") == 1 ? "" : "s");
    }
    close_cell(out);
}

void report_write_matrix(const struct report *r, FILE *out)
{
    const struct matrix *m = &r->matrix;
    (void)fputs("<section>\n<h2>Who may have what</h2>\n", out);
    if (m->n_apps == 0) {
        (void)fputs("<p>No app may have any scope, and none has asked.</p>\n</section>\n", out);
        return;
    }
    open_table(out, "matrix",
               "Held: a token that is out carries it. Used: was given it before. Got none: may have it, "
               "and a login or somebody's yes is missing. Not used: may have it, and does the table allow "
               "too much? Refused: asked for what it may not have.");
    write_title(out, "App");
    for (size_t j = 0; j < m->n_scopes; j++)
        write_title(out, m->scopes[j]);
    open_body(out);
    for (size_t i = 0; i < m->n_apps; i++) {
        write_app(out, m->apps[i].app, m->apps[i].user);
        for (size_t j = 0; j < m->n_scopes; j++)
            write_matrix_cell(matrix_cell(m, i, j), m->scopes[j], r->now_sec, out);
        (void)fputs("</tr>\n", out);
    }
    close_table(out);
    if (!m->is_complete)
        (void)fputs("<p class=\"note bad\">There is more than fits into one answer of the broker.</p>\n",
                    out);
    (void)fputs("</section>\n", out);
}

/* --- refusals ----------------------------------------------------------------------------------------- */

static int compare_denials(const void *a, const void *b)
{
    const struct report_denial *const *left = a, *const *right = b;
    int64_t x = values_number((*left)->record, "sequence"), y = values_number((*right)->record, "sequence");
    return (x < y) - (x > y);
}

static void write_denial(const struct report_denial *d, FILE *out)
{
    struct json_object *record = d->record;
    char number[32];
    write_app(out, values_text(record, "app"), "");
    write_scopes_cell(out, "Asked for", NULL, values_text(record, "asked"));
    open_cell(out, "Why", "");
    html_text(out, values_text(record, "verdict"));
    write_of(out, "by", audit_decider(values_text(record, "decided_by")));
    close_cell(out);
    (void)snprintf(number, sizeof(number), "%" PRIu64, d->n);
    write_cell(out, "Times", number);
    write_time_cell(out, "First", d->first_sec);
    write_time_cell(out, "Last", values_number(record, "time"));
    (void)fputs("</tr>\n", out);
}

void report_write_denials(const struct report *r, FILE *out)
{
    static const char *const titles[] = {"App", "Asked for", "Why", "Times", "First", "Last"};
    const struct report_denial *sorted[REPORT_DENIALS_MAX];
    (void)fputs("<section>\n<h2>Refusals</h2>\n", out);
    if (r->n_denials == 0) {
        (void)fputs("<p>Nothing was refused.</p>\n</section>\n", out);
        return;
    }
    for (size_t i = 0; i < r->n_denials; i++)
        sorted[i] = &r->denials[i];
    qsort(sorted, r->n_denials, sizeof(*sorted), compare_denials);
    open_table(out, "refusals", "Those that differ only in their time are one row; the newest come first.");
    for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
        write_title(out, titles[i]);
    open_body(out);
    for (size_t i = 0; i < r->n_denials; i++)
        write_denial(sorted[i], out);
    close_table(out);
    if (r->n_denials_left_out > 0)
        (void)fprintf(out,
                      "<p class=\"note\">%" PRIu64
                      " older refusals have no room here: <code>lwactl audit --event "
                      "token-denied</code> has them.</p>\n",
                      r->n_denials_left_out);
    (void)fputs("</section>\n", out);
}

/* --- what changed ------------------------------------------------------------------------------------- */

static void write_change(struct json_object *record, FILE *out)
{
    const char *owner = values_text(record, "owner");
    char when[TEXT_TIME_SIZE];
    (void)fprintf(out, "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\"><time>%s</time></th>",
                  text_time(values_number(record, "time"), when));
    write_cell(out, "Event", values_text(record, "event"));
    write_cell(out, "App", values_text(record, "app"));
    open_cell(out, "Account", *values_text(record, "account") ? "" : "none");
    html_text(out, values_text(record, "account"));
    if (*owner)
        write_of(out, "of", audit_owner(owner));
    close_cell(out);
    write_scopes_cell(out, "Scopes", NULL,
                      *values_text(record, "carried") ? values_text(record, "carried")
                                                      : values_text(record, "asked"));
    write_cell(out, "Detail", values_text(record, "detail"));
    (void)fputs("</tr>\n", out);
}

void report_write_changes(const struct report *r, FILE *out)
{
    static const char *const titles[] = {"Time", "Event", "App", "Account", "Scopes", "Detail"};
    uint64_t n = r->n_changes < REPORT_CHANGES_MAX ? r->n_changes : REPORT_CHANGES_MAX;
    (void)fputs("<section>\n<h2>Logins, consents, policy and the broker</h2>\n", out);
    if (n == 0) {
        (void)fputs("<p>Nothing happened to them.</p>\n</section>\n", out);
        return;
    }
    open_table(out, "changes", "All but what happens every day, the newest first.");
    for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
        write_title(out, titles[i]);
    open_body(out);
    for (uint64_t i = 1; i <= n; i++)
        write_change(r->changes[(r->n_changes - i) % REPORT_CHANGES_MAX], out);
    close_table(out);
    if (r->n_changes > n)
        (void)fprintf(out, "<p class=\"note\">%" PRIu64 " older ones have no room here.</p>\n",
                      r->n_changes - n);
    (void)fputs("</section>\n", out);
}
