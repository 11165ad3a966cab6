/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Import: the caller brings a refresh token, from a backup or from another system, and says what it carries.
 * That cannot be checked at Amazon's, so the grant is marked as claimed. The rest is proven as for any login.
 */

#include "broker/login.h"

static const char *find_fault(const struct login_options *options)
{
    if (!options->token)
        return "An import needs the option token, a descriptor.";
    if (options->redirect_uri || options->scope_data || options->locale)
        return "An import has no redirect_uri, no scope_data and no locale: nobody is asked anything.";
    return NULL;
}

static int start(struct login *login)
{
    login_exchange(login, TAKE_PTR(login->options.token));
    return 0;
}

const struct login_flow login_flow_import = {
    .name = "import",
    .find_fault = find_fault,
    .start = start,
    .is_claimed = true,
};
