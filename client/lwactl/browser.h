/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Opens an address in the person's browser, by xdg-open: only in a graphical session, and never for root,
 * whose browser it would be. False if it was not tried or could not be started; what becomes of it is not
 * known. Everyone on the device can read the address in the process list. */
bool browser_open(const char *uri);
