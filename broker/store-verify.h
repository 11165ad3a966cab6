/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Goes through the trail in the database and says what can be proven of it: audit-verify.h over all records.
 * What is known outside the database comes first: where the chain stands by the memory of this process, what
 * somebody kept elsewhere, and a key. */

#include "broker/audit-verify.h"
#include "broker/limits.h"
#include "broker/store.h"

struct store_verify_request {
    const struct audit_chain_key *secret; /* of a setup; NULL for none: then the present key is taken */
    struct audit_head head;               /* that somebody kept; sequence 0: none */
};

enum store_verify_secret {
    STORE_VERIFY_SECRET_NONE,
    STORE_VERIFY_SECRET_FITS,
    STORE_VERIFY_SECRET_OTHER, /* proves nothing: all is as without one, and that is damage */
};

struct store_verify_finding {
    const char *kind; /* audit_finding_name(), or of ours: head, secret, database */
    bool is_damage;
    int64_t sequence;
    char text[160];
};

#define STORE_VERIFY_FINDINGS (LIMIT_VERIFY_FINDINGS + 3) /* and ours */

struct store_verify {
    struct audit_verify_report report; /* its findings are below */
    struct store_verify_finding findings[STORE_VERIFY_FINDINGS];
    unsigned n_findings;
    unsigned n_damage; /* all that was found, kept or not */
    enum store_verify_secret secret;
    int64_t removed_up_to; /* by retention */
};

/* In reply->verify, good during the callback; -EAGAIN when it cannot be done now. Runs as
 * store_audit_query(), in slices, beside a retention that may remove what is still to come. */
int store_verify_query(struct store *s, uid_t asker, const struct store_verify_request *request,
                       store_callback callback, void *userdata, struct store_op **ret_op) _must_check_;
