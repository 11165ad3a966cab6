/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* seed-accounts DATABASE KEY-FILE TOKEN-ENDPOINT CLIENT-ID COUNT: fills the store of a broker that is not
 * running with proven accounts of as many owners, through the store's own calls. As the broker's user.
 *
 * A COUNT of 0: with an account for each line on standard input, which is
 *
 *     UID OWNER ACCOUNT REFRESH-TOKEN */

#include "broker/store.h"

#include <sodium.h>
#include <string.h>

#define FIRST_UID 100000
#define SEEDS_MAX 10000

struct seed {
    struct store *store;
    const char *endpoint, *client_id;
    unsigned number, *n_done;
    int64_t grant;
    struct owner owner;
    char account[33];
    char token[2049];
    const char *scopes;
};

static void check(int r, const char *what)
{
    if (r == 0)
        return;
    (void)fprintf(stderr, "seed-accounts: %s: %d\n", what, r);
    exit(EXIT_FAILURE);
}

static void on_linked(struct store_reply *reply, void *userdata)
{
    struct seed *seed = userdata;
    check(reply->r, "an account");
    (*seed->n_done)++;
}

static void on_proven(struct store_reply *reply, void *userdata)
{
    struct seed *seed = userdata;
    check(reply->r, "the proof of a grant");
    struct store_link link = {
        .grant = seed->grant, .id = seed->account, .label = "Living room", .is_default = true};
    memcpy(link.customer, &seed->number, sizeof(seed->number));
    check(store_link(seed->store, &link, NULL, on_linked, seed, NULL), "an account");
}

static void on_added(struct store_reply *reply, void *userdata)
{
    struct seed *seed = userdata;
    check(reply->r, "a grant");
    seed->grant = reply->row;
    check(store_refresh_finish(seed->store, seed->grant, reply->generation, STORE_TOKEN_CURRENT, NULL, NULL,
                               on_proven, seed, NULL),
          "the proof of a grant");
}

static void begin(struct seed *seed)
{
    struct secret *secret = NULL;
    const struct store_grant grant = {
        .owner = seed->owner,
        .target = "",
        .label = "Living room",
        .endpoint = seed->endpoint,
        .client_id = seed->client_id,
        .flow = "device-code",
        .may_carry = seed->scopes,
        .carries = seed->scopes,
    };
    check(secret_new(seed->token, strlen(seed->token), &secret), "a secret");
    check(store_add_grant(seed->store, &grant, secret, NULL, on_added, seed, NULL), "a grant");
}

static void make_up(struct seed *seed)
{
    seed->scopes = "music::library profile";
    seed->owner.uid = FIRST_UID + seed->number;
    (void)snprintf(seed->owner.name, sizeof(seed->owner.name), "user%u", seed->number);
    (void)snprintf(seed->account, sizeof(seed->account), "main");
    (void)snprintf(seed->token, sizeof(seed->token),
                   "Atzr|a refresh token of nobody's, of the length that they have in life");
}

/* False at the end. */
static bool read_line(struct seed *seed)
{
    char uid[16] = "";
    int n = scanf("%15s %63s %32s %2048s", uid, seed->owner.name, seed->account, seed->token);
    check(n == EOF || n == 4 ? 0 : 1, "a line is UID OWNER ACCOUNT REFRESH-TOKEN");
    seed->owner.uid = (uid_t)strtoul(uid, NULL, 10);
    seed->scopes = "music::library";
    return n == 4;
}

int main(int argc, char **argv)
{
    if (argc != 6 || sodium_init() < 0)
        check(1, "usage: seed-accounts DATABASE KEY-FILE TOKEN-ENDPOINT CLIENT-ID COUNT");
    unsigned count = (unsigned)strtoul(argv[5], NULL, 10), n = 0, n_done = 0;
    struct seed *seeds = calloc(SEEDS_MAX, sizeof(*seeds));
    uv_loop_t loop;
    struct store *store;
    const struct store_options options = {.path = argv[1], .key_source = {.file = argv[2]}};
    if (!seeds || count > SEEDS_MAX || uv_loop_init(&loop) < 0)
        check(1, "no memory");
    check(store_open(&loop, &options, &store), "the store");
    for (; n < (count ? count : SEEDS_MAX); n++) {
        seeds[n] = (struct seed){
            .store = store, .endpoint = argv[3], .client_id = argv[4], .number = n, .n_done = &n_done};
        if (count)
            make_up(&seeds[n]);
        else if (!read_line(&seeds[n]))
            break;
        begin(&seeds[n]);
    }
    while (n_done < n)
        (void)uv_run(&loop, UV_RUN_ONCE);
    store_close(store);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    free(seeds);
    return uv_loop_close(&loop) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
