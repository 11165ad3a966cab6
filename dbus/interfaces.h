/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The introspection text of each interface, from the XML files of this folder. Ends with a NULL name. */

struct bus_interface {
    const char *name;
    const char *xml;
};

extern const struct bus_interface bus_interfaces[];
