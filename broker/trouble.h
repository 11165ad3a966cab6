/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Why a refresh did not succeed: what status calls `because`, what people are told, and when to try again.
 * Pure code. */

#include "broker/lwa.h"
#include "broker/schedule.h"

enum trouble {
    TROUBLE_NONE,
    TROUBLE_OFFLINE,        /* no connection */
    TROUBLE_DNS,            /* no address for the provider's name */
    TROUBLE_TLS,            /* whoever answers is not the provider */
    TROUBLE_CLOCK,          /* the certificate is not valid now, or our clock is wrong */
    TROUBLE_THROTTLED,      /* too many requests, says the provider */
    TROUBLE_SERVER_ERROR,   /* its own failure */
    TROUBLE_CAPTIVE_PORTAL, /* a page or a redirect instead of the service */
    TROUBLE_AMBIGUOUS,      /* sent, and no usable answer */
    TROUBLE_MISCONFIGURED,  /* the provider refuses this client */
    TROUBLE_STORE,          /* our disk */
    TROUBLE_RESOURCES,      /* our memory or descriptors */
    TROUBLE_COUNT
};

/* is_clock_set: false where the wall clock is known to be wrong. */
enum trouble trouble_of(const struct lwa_answer *answer, bool is_clock_set);
const char *trouble_name(enum trouble trouble); /* "offline", ...; "" for none */
/* A clause for people, that ends where "; the next try is due in 5 s." can follow. */
const char *trouble_text(enum trouble trouble, bool is_clock_set);
enum schedule_kind trouble_schedule(enum trouble trouble);
/* The provider's, or the way to it: what one login meets, the others of this device would meet too. */
bool trouble_is_shared(enum trouble trouble);
/* Nothing reached the provider. */
bool trouble_is_unsent(enum trouble trouble);
