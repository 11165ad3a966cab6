/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The methods and properties of the bus contract, by interface. server.c finds them; they are in
 * broker1.c, login1.c, accounts1.c, audit1.c, keys1.c, policy1.c and status1.c. */

#include "broker/call.h"
#include "broker/renewal.h"

struct method {
    const char *interface;
    const char *member;
    const char *signature;
    void (*handle)(struct call *call);
};

/* Each ends with a NULL interface. */
extern const struct method broker1_methods[];
extern const struct method login1_methods[];
extern const struct method login1_request_methods[]; /* on a request's own path */
extern const struct method accounts1_methods[];
extern const struct method audit1_methods[];
extern const struct method keys1_methods[];
extern const struct method policy1_methods[];
extern const struct method status1_methods[];

/* Those of Broker1 that have files of their own: gettoken.c, reportrejected.c, checkscopes.c. */
void broker1_get_token(struct call *call);
void broker1_report_rejected(struct call *call);
void broker1_check_scopes(struct call *call);

/* The properties of an interface on a path, written as entries of an open a{sv}; NULL `name` for all.
 * False when there is no such property. */
bool broker1_write_properties(struct call *call, struct writer *w, const char *name);

/* Reads the options of a call, its `index`-th argument; answers InvalidArgument and returns false when an
 * option is unknown, doubled or of another type. */
struct reader_option;
bool handlers_read_options(struct call *call, unsigned index, struct reader_option *options, size_t n);

/* Why there is no token of this grant, or no newer one; NULL for a grant that is gone. */
struct grant;
void handlers_fail_renewal(struct call *call, const struct grant *grant, enum renewal_result result);
/* The account's login was made for another provider or client. */
struct account;
void handlers_fail_foreign(struct call *call, const struct account *account);

/* One scope, listed or met before: answers InvalidScope and returns false. */
bool handlers_check_scope(struct call *call, const char *scope);

/* The scopes argument, as it was named (not reduced): answers InvalidArgument or InvalidScope and returns
 * false. */
struct scope_set;
bool handlers_read_scopes(struct call *call, unsigned index, struct scope_set *ret);
