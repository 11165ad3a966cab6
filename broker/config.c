/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reading goes file by file: a later file overrides an earlier one, within one file a key stands once. What
 * can only be judged when all is known (the default endpoints, the client secret) comes last, and is blamed
 * on the line that named it. */

#include "broker/config.h"

#include "broker/config-keys.h"
#include "util/file.h"
#include "util/utf8.h"

#include <string.h>

#define FILE_BYTES_MAX (64 * 1024)
#define DROP_INS_MAX 64
#define SECRET_BYTES_MAX 1024

/* Where a key was last set. */
struct origin {
    size_t file; /* index into loading.files */
    unsigned line;
};

struct loading {
    struct config *c;
    struct strv files;
    size_t file; /* the one being read */
    bool is_set[CONFIG_KEYS_MAX];
    struct origin origins[CONFIG_KEYS_MAX];
    struct ini_problem problem;
    size_t problem_file;
};

static void loading_clear(struct loading *l)
{
    strv_clear(&l->files);
    config_free(l->c);
}

void config_free(struct config *c)
{
    if (!c)
        return;
    config_clear_fields(c);
    free(c);
}

void config_problem_clear(struct config_problem *p)
{
    free(p->file);
    *p = (struct config_problem){0};
}

static int take_entry(const struct ini_entry *entry, struct ini_problem *problem, void *userdata)
{
    struct loading *l = userdata;
    if (!entry->key)
        return config_section_check(entry->section, problem);
    const struct config_key *key = config_key_find(entry->section, entry->key, problem);
    if (!key)
        return INI_E_MALFORMED;
    size_t i = config_key_index(key);
    if (entry->continues)
        return ini_refuse(problem, "%s must stand on one line: this one is indented", entry->key);
    if (l->is_set[i] && l->origins[i].file == l->file)
        return ini_refuse(problem, "%s is set again; it was set on line %u", entry->key, l->origins[i].line);
    l->is_set[i] = true;
    l->origins[i] = (struct origin){.file = l->file, .line = entry->line};
    return config_key_set(l->c, key, entry->value, problem);
}

static const char *explain(int error)
{
    switch (error) {
    case -ENOENT:
        return "there is no such file";
    case -EPERM:
        return "it must be a regular file that root owns and nobody else may write";
    case -ELOOP:
        return "it is a symbolic link";
    case -EFBIG:
        return "it is too large";
    default:
        return strerrordesc_np(-error);
    }
}

static int read_one(struct loading *l)
{
    _cleanup_free_ char *text = NULL;
    size_t n;
    l->problem_file = l->file;
    int r = file_read_trusted(l->files.items[l->file], FILE_BYTES_MAX, &text, &n);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return ini_refuse(&l->problem, "the file cannot be used: %s", explain(r));
    return ini_parse_text(text, n, take_entry, l, &l->problem);
}

static int list_files(struct loading *l, const char *path)
{
    _cleanup_free_ char *dir = NULL;
    if (asprintf(&dir, "%s.d", path) < 0) {
        dir = NULL;
        return -ENOMEM;
    }
    int r = strv_add(&l->files, path);
    if (r < 0)
        return r;
    r = file_list(dir, ".conf", DROP_INS_MAX, &l->files);
    if (r == -E2BIG)
        return ini_refuse(&l->problem, "there are more than %d files in its .d folder", DROP_INS_MAX);
    if (r < 0 && r != -ENOMEM)
        return ini_refuse(&l->problem, "its .d folder cannot be read: %s", explain(r));
    return r;
}

/* Blames the line that set the key. */
static int refuse_key(struct loading *l, const char *section, const char *key, const char *reason)
{
    struct ini_problem none;
    const struct config_key *k = config_key_find(section, key, &none);
    if (k) {
        l->problem_file = l->origins[config_key_index(k)].file;
        l->problem.line = l->origins[config_key_index(k)].line;
    }
    return ini_refuse(&l->problem, "%s cannot be used: %s", key, reason);
}

static int load_client_secret(struct loading *l)
{
    char *text;
    size_t n;
    if (l->c->client_secret_file[0] == '\0')
        return 0;
    int r = file_read_trusted(l->c->client_secret_file, SECRET_BYTES_MAX, &text, &n);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return refuse_key(l, "provider", "client_secret_file", explain(r));

    _cleanup_(secret_free_stringp) char *owned = text;
    size_t length = n;
    if (length > 0 && text[length - 1] == '\n')
        length--;
    if (length > 0 && text[length - 1] == '\r')
        length--;
    bool printable = length > 0;
    for (size_t i = 0; i < length; i++)
        printable = printable && text[i] > 0x20 && text[i] <= 0x7E;
    if (printable)
        r = secret_new(text, length, &l->c->client_secret);
    /* The string is freed up to its first NUL, and a file that is refused may have one anywhere. */
    secret_wipe(text, n);
    return printable ? r
                     : refuse_key(l, "provider", "client_secret_file", "it does not hold one line of text");
}

/* Blames the key that a file set; of two, the one that should be less. */
static int check_limits(struct loading *l)
{
    const char *less, *more;
    if (!config_limits_clash(&l->c->limits, &less, &more))
        return 0;
    struct ini_problem none;
    const struct config_key *first = config_key_find("limits", less, &none);
    bool is_set = first && l->is_set[config_key_index(first)];
    char reason[128];
    (void)snprintf(reason, sizeof(reason), "%s may not be above %s", is_set ? "it" : less,
                   is_set ? more : "it");
    return refuse_key(l, "limits", is_set ? less : more, reason);
}

static int finish(struct loading *l)
{
    int r = config_set_defaults(l->c, l->is_set);
    if (r < 0)
        return r;
    if (l->c->client_id[0] == '\0') {
        l->problem_file = 0;
        return ini_refuse(&l->problem, "client_id is missing from [provider]");
    }
    if (l->c->ca_file[0] != '\0' && access(l->c->ca_file, R_OK) < 0)
        return refuse_key(l, "provider", "ca_file", explain(-errno));
    r = check_limits(l);
    return r != 0 ? r : load_client_secret(l);
}

static int load(struct loading *l, const char *path)
{
    l->c = calloc(1, sizeof(*l->c));
    if (!l->c)
        return -ENOMEM;
    int r = list_files(l, path);
    for (l->file = 0; r == 0 && l->file < l->files.n; l->file++)
        r = read_one(l);
    return r == 0 ? finish(l) : r;
}

int config_load(const char *path, struct config **ret, struct config_problem *ret_problem)
{
    _cleanup_(loading_clear) struct loading l = {0};
    int r = load(&l, path);
    if (r < 0)
        return r;
    if (r == 0) {
        *ret = TAKE_PTR(l.c);
        return 0;
    }
    char *file = strdup(l.files.items[l.problem_file]);
    if (!file)
        return -ENOMEM;
    utf8_scrub(file);
    *ret_problem = (struct config_problem){.file = file, .problem = l.problem};
    return CONFIG_E_MALFORMED;
}
