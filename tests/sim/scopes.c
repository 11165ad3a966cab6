/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/scopes.h"

#include "tests/sim/memory.h"
#include "util/strv.h"

#include <string.h>

struct scope_row {
    const char *name;
    const char *words;
    const char *implies;
};

static const struct scope_row rows[] = {
    {"profile", "see your name, your e-mail address and your account number", "profile:user_id"},
    {"profile:user_id", "recognise your account by its number", NULL},
    {"postal_code", "see your postal code", NULL},
    {"music::catalog", "look up songs, albums and artists", NULL},
    {"music::favorites", "see and change what you like", "music::favorites:read"},
    {"music::favorites:read", "see what you like", NULL},
    {"music::history", "see what you listened to", NULL},
    {"music::library", "see and change your playlists and your library", "music::library:read"},
    {"music::library:read", "see your playlists and your library", NULL},
    {"music::playback", "play music in your name", NULL},
    {"music::profile", "see and change your music profile", "music::profile:read"},
    {"music::profile:read", "see your music profile", NULL},
    {"music::recommendation", "see what is recommended to you", NULL},
    {"amazon_music:access", "use Amazon Music on this device", NULL},
    {"alexa:all", "use Alexa on this device", NULL},
    {"alexa::ask:skills:readwrite", "see and change your Alexa skills", NULL},
    {"alexa::ask:models:readwrite", "see and change the models of your Alexa skills", NULL},
    {"alexa::ask:skills:test", "test your Alexa skills", NULL},
    {"alexa::ask:skills:debug", "debug your Alexa skills", NULL},
    {"alexa::ask:catalogs:read", "see your Alexa catalogues", NULL},
    {"alexa::ask:catalogs:readwrite", "see and change your Alexa catalogues", NULL},
    {"alexa::ask:subscriptions", "manage subscriptions to Alexa events", NULL},
    {"alexa:skill_messaging", "send messages to your Alexa skills", NULL},
    {"alexa::async_event:write", "send events to Alexa", NULL},
    {"alexa::health:profile:write", "change your Alexa health profile", NULL},
    {"alexa::profile:email:read", "see the e-mail address of your Alexa account", NULL},
    {"alexa::profile:name:read", "see the name of your Alexa account", NULL},
    {"alexa::devices:all:address:country_and_postal_code:read",
     "see the country and postal code of your Alexa devices", NULL},
    {"alexa::skills:account_linking", "link your account with Alexa skills", NULL},
    {"appstore::apps:readwrite", "see and change your apps in the Appstore", NULL},
    {"adx_reporting::appstore:marketer", "see reports of your apps", NULL},
    {"messaging:push", "send push messages to your devices", NULL},
    {"advertising::campaign_management", "see and change your advertising campaigns", NULL},
    {"advertising::audiences", "see and change your advertising audiences", NULL},
    {"advertising::test:create_account", "create advertising accounts for tests", NULL},
    {"sellingpartnerapi::notifications", "manage notifications to sellers", NULL},
    {"sellingpartnerapi::migration", "migrate selling applications", NULL},
    {"sellingpartnerapi::client_credential:rotation", "rotate the secrets of selling applications", NULL},
    {"creatorsapi::default", "use the creators' programming interface", NULL},
    {"dash:replenish", "order supplies in your name", NULL},
    {"clouddrive:read_all", "see all your files", NULL},
    {"clouddrive:write", "add and change files", NULL},
    {"payments:widget", "show your payment methods", NULL},
};

_Static_assert(ARRAY_SIZE(rows) <= 64, "a set of scopes has 64 bits");

uint64_t scope_bit(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return UINT64_C(1) << i;
    return 0;
}

bool scopes_parse(const char *text, uint64_t *bits)
{
    _cleanup_strv_ struct strv names = STRV_EMPTY;
    uint64_t added = 0;

    if (strv_split(&names, text, " ") < 0)
        abort();
    for (size_t i = 0; i < names.n; i++) {
        uint64_t bit = scope_bit(names.items[i]);
        if (bit == 0)
            return false;
        added |= bit;
    }
    *bits |= added;
    return true;
}

uint64_t scopes_expand(uint64_t bits)
{
    uint64_t expanded = bits;

    for (int i = scopes_next(bits, 0); i >= 0; i = scopes_next(bits, i + 1))
        if (rows[i].implies)
            expanded |= scope_bit(rows[i].implies);
    return expanded;
}

char *scopes_join(uint64_t bits)
{
    _cleanup_strv_ struct strv names = STRV_EMPTY;

    for (int i = scopes_next(bits, 0); i >= 0; i = scopes_next(bits, i + 1))
        if (strv_add(&names, rows[i].name) < 0)
            abort();
    return must(strv_join(&names, " "));
}

int scopes_next(uint64_t bits, int from)
{
    for (int i = from; i < (int)ARRAY_SIZE(rows); i++)
        if (bits >> i & 1)
            return i;
    return -1;
}

const char *scope_name(int index)
{
    return rows[index].name;
}

const char *scope_words(int index)
{
    return rows[index].words;
}
