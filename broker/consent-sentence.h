/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a person reads who is asked whether an app may use an account:
 *
 *     The music player (flatpak:org.example.Player) wants to use your Amazon account to: see your Amazon
 * Music library and your playlists; play music with your Amazon Music account.
 *
 * All that the token would carry is in it: nobody agrees to what was not shown. */

#include "policy/catalogue.h"

struct consent_sentence {
    const char *app;         /* names the app */
    const char *description; /* what the administrator calls it; NULL or "" without */
    const char *account;     /* its id, where the owner has several; else NULL */
    bool is_device;
    struct scope_set scopes; /* empty: a denial of every scope is to be taken back */
};

enum { CONSENT_SENTENCE_E_TOO_LONG = 1 };

/* Valid UTF-8 in one line, without a `$(` that polkit would put something in the place of. */
int consent_sentence_make(const struct catalogue *c, const struct consent_sentence *s,
                          char **ret) _must_check_;
