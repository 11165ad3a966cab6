/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/app-name.h"

#include "util/cleanup.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define USER_BYTES_MAX 63
#define UNIT_BYTES_MAX 255
#define FLATPAK_BYTES_MAX 255
#define SNAP_NAME_BYTES_MAX 40
#define SNAP_KEY_BYTES_MAX 10
#define SNAP_APP_BYTES_MAX 128

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* A piece of a name. */
struct piece {
    const char *s;
    size_t n;
};

static bool consists_of(struct piece piece, const char *characters)
{
    for (size_t i = 0; i < piece.n; i++)
        if (!strchr(characters, piece.s[i]))
            return false;
    return piece.n > 0;
}

static struct piece piece_of(const char *s)
{
    return (struct piece){s, strlen(s)};
}

/* Takes off the piece up to the first `separator`; false where there is none. */
static bool cut(struct piece *rest, char separator, struct piece *ret)
{
    const char *found = memchr(rest->s, separator, rest->n);
    if (!found)
        return false;
    *ret = (struct piece){rest->s, (size_t)(found - rest->s)};
    *rest = (struct piece){found + 1, rest->n - ret->n - 1};
    return true;
}

/* --- users --------------------------------------------------------------------------------------------- */

static bool is_user(const char *name)
{
    return strlen(name) <= USER_BYTES_MAX && consists_of(piece_of(name), LOWER UPPER DIGITS "._-");
}

static bool is_uid(const char *text)
{
    size_t n = strlen(text);
    if (n > 10 || !consists_of(piece_of(text), DIGITS) || (text[0] == '0' && n > 1))
        return false;
    return strtoull(text, NULL, 10) < UINT32_MAX; /* (uid_t)-1 is nobody's */
}

bool app_user_is_valid(const char *user)
{
    return consists_of(piece_of(user), DIGITS) ? is_uid(user) : is_user(user);
}

/* --- units --------------------------------------------------------------------------------------------- */

/* Units of the other types have no processes. */
bool app_unit_is_valid(const char *name)
{
    static const char *const suffixes[] = {".service", ".scope", ".socket", ".mount", ".swap"};
    size_t n = strlen(name);
    if (n > UNIT_BYTES_MAX || name[0] == '@' || name[0] == '.' ||
        !consists_of(piece_of(name), LOWER UPPER DIGITS ":_.\\-@"))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        size_t m = strlen(suffixes[i]);
        if (n > m && strcmp(name + n - m, suffixes[i]) == 0)
            return true;
    }
    return false;
}

/* --- Flatpak ------------------------------------------------------------------------------------------- */

static bool is_element(struct piece element, bool is_last)
{
    return consists_of(element, is_last ? LOWER UPPER DIGITS "_-" : LOWER UPPER DIGITS "_") &&
           !strchr(DIGITS, element.s[0]);
}

bool app_flatpak_is_valid(const char *id)
{
    struct piece rest = piece_of(id), element;
    unsigned periods = 0;
    if (rest.n > FLATPAK_BYTES_MAX)
        return false;
    for (; cut(&rest, '.', &element); periods++)
        if (!is_element(element, false))
            return false;
    return periods >= 2 && is_element(rest, true);
}

/* --- Snap ---------------------------------------------------------------------------------------------- */

/* Parts of these characters with a single hyphen between two of them. */
static bool is_hyphenated(struct piece piece, const char *characters)
{
    struct piece part;
    while (cut(&piece, '-', &part))
        if (!consists_of(part, characters))
            return false;
    return consists_of(piece, characters);
}

/* "player", or "player_work" for a snap that is installed a second time. */
static bool is_snap_name(struct piece piece)
{
    struct piece name, key = piece;
    bool has_key = cut(&key, '_', &name);
    if (!has_key)
        name = piece;
    if (name.n > SNAP_NAME_BYTES_MAX || !is_hyphenated(name, LOWER DIGITS) ||
        consists_of(name, DIGITS "-")) /* one letter at least */
        return false;
    return !has_key || (key.n <= SNAP_KEY_BYTES_MAX && consists_of(key, LOWER DIGITS));
}

bool app_snap_is_valid(const char *name)
{
    struct piece app = piece_of(name), snap;
    return cut(&app, '.', &snap) && is_snap_name(snap) && app.n <= SNAP_APP_BYTES_MAX &&
           is_hyphenated(app, LOWER UPPER DIGITS);
}

/* --- all ----------------------------------------------------------------------------------------------- */

int app_kind_from_name(const char *app)
{
    static const struct {
        const char *prefix;
        bool (*is_valid)(const char *name);
        enum subject_kind kind;
    } kinds[] = {
        {"user:", is_user, SUBJECT_USER},
        {"uid:", is_uid, SUBJECT_USER},
        {"unit:", app_unit_is_valid, SUBJECT_SYSTEM_UNIT},
        {"flatpak:", app_flatpak_is_valid, SUBJECT_FLATPAK},
        {"snap:", app_snap_is_valid, SUBJECT_SNAP},
    };
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        size_t n = strlen(kinds[i].prefix);
        if (strncmp(app, kinds[i].prefix, n) == 0)
            return kinds[i].is_valid(app + n) ? (int)kinds[i].kind : -1;
    }
    return -1;
}
