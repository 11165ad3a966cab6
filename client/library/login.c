/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/login.h"

#include <string.h>

static const char *const option_names[LOGIN_OPTION_COUNT] = {
    [LOGIN_OPTION_ACCOUNT] = "account",
    [LOGIN_OPTION_LABEL] = "label",
    [LOGIN_OPTION_LOCALE] = "locale",
    [LOGIN_OPTION_OWNER] = "owner",
    [LOGIN_OPTION_REDIRECT_URI] = "redirect_uri",
    [LOGIN_OPTION_SCOPE_DATA] = "scope_data",
};

/* --- the object --------------------------------------------------------------------------------------- */

static struct lwa_login *free_memory(struct lwa_login *login)
{
    list_remove(&login->in_client);
    for (size_t i = 0; i < LOGIN_OPTION_COUNT; i++)
        free(login->options[i]);
    login_values_clear(&login->values);
    strv_clear(&login->scopes);
    close_fd(login->token_fd);
    free(login->flow);
    free(login->broker);
    free(login->path);
    free(login);
    return NULL;
}

static void free_memoryp(struct lwa_login **login)
{
    if (*login)
        *login = free_memory(*login);
}

int lwa_login_new(struct lwa_client *client, const char *flow, const char *scope, struct lwa_login **ret)
{
    int r = client_check(client);
    if (r < 0)
        return r;
    if (!flow || !scope)
        return client_fail(client, OWN_BAD_ARGUMENT, "A login needs a flow and its scopes.");
    _cleanup_(free_memoryp) struct lwa_login *login = calloc(1, sizeof(*login));
    if (!login)
        return client_fail(client, OWN_NO_MEMORY, NULL);
    list_init(&login->in_client);
    login->client = client;
    login->token_fd = -1;
    login->flow = strdup(flow);
    if (!login->flow || strv_split(&login->scopes, scope, " ") < 0)
        return client_fail(client, OWN_NO_MEMORY, NULL);
    list_append(&client->logins, &login->in_client);
    *ret = TAKE_PTR(login);
    return 0;
}

struct lwa_login *lwa_login_free(struct lwa_login *login)
{
    if (!login)
        return NULL;
    bool is_ours = client_check(login->client) == 0;
    if (is_ours && login->phase == LOGIN_OPEN && !login->is_lost && !login->is_cancelled)
        (void)login_send_cancel(login->client, login->path);
    /* Also in a child: the handle still has them, and they point to this login. */
    lwa_request_cancel(login->fetch);
    lwa_request_cancel(login->begin);
    return free_memory(login);
}

void lwa_login_on_change(struct lwa_login *login, lwa_login_fn fn, void *userdata)
{
    if (!login)
        return;
    login->change_fn = fn;
    login->change_userdata = userdata;
}

void login_notify(struct lwa_login *login)
{
    if (login->change_fn)
        login->change_fn(login, login->change_userdata);
}

/* --- before it is begun ------------------------------------------------------------------------------- */

int login_check_new(struct lwa_login *login)
{
    int r = client_check(login->client);
    if (r == 0 && login->phase != LOGIN_NEW)
        r = client_fail(login->client, OWN_BAD_ARGUMENT, "The login has begun already.");
    return r;
}

int lwa_login_set_option(struct lwa_login *login, const char *name, const char *value)
{
    int r = login_check_new(login);
    if (r < 0)
        return r;
    size_t i = 0;
    while (i < LOGIN_OPTION_COUNT && (!name || strcmp(option_names[i], name) != 0))
        i++;
    if (i == LOGIN_OPTION_COUNT)
        return client_fail(login->client, OWN_BAD_ARGUMENT, "A login has no option of this name.");
    char *copy = value ? strdup(value) : NULL;
    if (value && !copy)
        return client_fail(login->client, OWN_NO_MEMORY, NULL);
    free(login->options[i]);
    login->options[i] = copy;
    return 0;
}

int lwa_login_set_token(struct lwa_login *login, const char *bytes, size_t n_bytes)
{
    int r = login_check_new(login), fd = -1;
    if (r < 0)
        return r;
    if (!login_token_is_valid(bytes, n_bytes))
        return client_fail(login->client, OWN_BAD_ARGUMENT,
                           "A refresh token is 1 to 2,048 bytes of printable ASCII.");
    r = login_token_seal(bytes, n_bytes, &fd);
    if (r < 0)
        return client_fail(login->client, OWN_NO_MEMORY,
                           "There is no memory, or no descriptor, for a token.");
    close_fd(login->token_fd);
    login->token_fd = fd;
    return 0;
}

const char *login_option_name(enum login_option option)
{
    return option_names[option];
}

/* --- what it tells ------------------------------------------------------------------------------------ */

static const char *get(const struct lwa_login *login, enum login_text text)
{
    return login ? login_values_get(&login->values, text) : "";
}

const char *lwa_login_get_state(const struct lwa_login *login)
{
    return get(login, LOGIN_TEXT_STATE);
}

const char *lwa_login_get_user_code(const struct lwa_login *login)
{
    return get(login, LOGIN_TEXT_USER_CODE);
}

const char *lwa_login_get_verification_uri(const struct lwa_login *login)
{
    return get(login, LOGIN_TEXT_VERIFICATION_URI);
}

const char *lwa_login_get_authorize_uri(const struct lwa_login *login)
{
    return get(login, LOGIN_TEXT_AUTHORIZE_URI);
}

const char *lwa_login_get_notice(const struct lwa_login *login)
{
    return get(login, LOGIN_TEXT_NOTICE);
}

time_t lwa_login_get_expires_at(const struct lwa_login *login)
{
    return login ? (time_t)login->values.expires_at_sec : 0;
}

const char *lwa_login_get_outcome(const struct lwa_login *login)
{
    return login && login->is_lost ? LOGIN_OUTCOME_LOST : get(login, LOGIN_TEXT_OUTCOME);
}

const char *lwa_login_get_account(const struct lwa_login *login)
{
    return get(login, LOGIN_TEXT_ACCOUNT);
}

const char *lwa_login_get_scope(const struct lwa_login *login)
{
    return get(login, LOGIN_TEXT_SCOPE);
}

const char *lwa_login_get_refused_scope(const struct lwa_login *login)
{
    return get(login, LOGIN_TEXT_REFUSED_SCOPE);
}

const char *lwa_login_get_reason(const struct lwa_login *login)
{
    return get(login, LOGIN_TEXT_REASON);
}

const char *lwa_login_get_message(const struct lwa_login *login)
{
    return get(login, LOGIN_TEXT_MESSAGE);
}

const char *lwa_login_get_error_name(const struct lwa_login *login)
{
    return get(login, LOGIN_TEXT_ERROR_NAME);
}
