/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How surely an app is known, in words. */

/* Who can pass for an app that is known with this strength (uid, sandbox, unit, label), as a sentence without
 * its full stop; `otherwise` for a strength that is not known. */
const char *strength_meaning(const char *strength, const char *otherwise);
