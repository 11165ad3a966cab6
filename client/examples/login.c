/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the settings of a device do: let a person link an account by typing a code into Amazon's page.
 *
 *     cc login.c -o login $(pkg-config --cflags --libs lwa-client)
 *     ./login ["music::library profile"] */

#include <lwa-client.h>

#include <stdio.h>
#include <string.h>

/* A device without a keyboard would show the code in large letters, and the address as a QR code. */
static void on_change(struct lwa_login *login, void *userdata)
{
    (void)userdata;
    if (strcmp(lwa_login_get_state(login), "waiting") == 0)
        printf("Open %s and type %s\n", lwa_login_get_verification_uri(login),
               lwa_login_get_user_code(login));
    else if (*lwa_login_get_outcome(login) == '\0')
        printf("%s ...\n", lwa_login_get_state(login));
}

/* 0 if an account was linked. */
static int tell_outcome(const struct lwa_login *login)
{
    if (strcmp(lwa_login_get_outcome(login), "linked") != 0) {
        printf("%s: %s\n", lwa_login_get_outcome(login), lwa_login_get_message(login));
        return 1;
    }
    printf("linked account %s, which carries %s\n", lwa_login_get_account(login), lwa_login_get_scope(login));
    if (*lwa_login_get_refused_scope(login))
        printf("not agreed to: %s\n", lwa_login_get_refused_scope(login));
    return 0;
}

int main(int argc, char **argv)
{
    const char *scope = argc > 1 ? argv[1] : "music::library";
    struct lwa_client *client = NULL;
    struct lwa_login *login = NULL;
    int outcome = 1;
    int r = lwa_client_new(&client);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (r == 0)
        r = lwa_login_new(client, "device-code", scope, &login);
    /* For the account of the whole device, which an administrator links:
     * r = lwa_login_set_option(login, "owner", "device"); */
    if (r == 0) {
        lwa_login_on_change(login, on_change, NULL);
        r = lwa_login_begin(login);
    }
    if (r == 0)
        r = lwa_login_wait(login);
    if (r == 0)
        outcome = tell_outcome(login);
    else
        fprintf(stderr, "%s\n", lwa_error_get_message(lwa_client_get_error(client)));
    lwa_login_free(login);
    lwa_client_free(client);
    return outcome;
}
