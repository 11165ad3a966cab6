/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The shortest: one token, for a program that may wait.
 *
 *     cc blocking.c -o blocking $(pkg-config --cflags --libs lwa-client) */

#include <lwa-client.h>
#include <stdio.h>

int main(void)
{
    struct lwa_client *client = NULL;
    struct lwa_token *token = NULL;
    int r = lwa_client_new(&client);
    if (r == 0)
        r = lwa_client_get_token(client, "music::library:read", NULL, 0, &token);
    if (r == 0) /* Here the request would be sent, with lwa_token_get_authorization_header(token). */
        printf("token %s, %u s left, for %s\n", lwa_token_get_id(token), lwa_token_get_expires_in(token),
               lwa_token_get_api_base(token));
    else
        fprintf(stderr, "no token: %s\n", lwa_error_get_message(lwa_client_get_error(client)));

    lwa_token_unref(token);
    lwa_client_free(client);
    return r == 0 ? 0 : 1;
}
