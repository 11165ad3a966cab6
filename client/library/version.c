/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/library/lwa-client.h"

#include "autoconf.h"

const char *lwa_client_version(void)
{
    return PACKAGE_VERSION;
}
