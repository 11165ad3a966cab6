/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Faults on order: what goes wrong with the next requests to an endpoint. The first that matches is used, and
 * is gone when its count is used up. Kinds and their parameters are in the table of faults.c and
 * fault-bodies.c. */

#include "tests/sim/form.h"
#include "util/list.h"

#include <json.h>
#include <stdint.h>

#define FAULTS_MAX 64

struct request;
struct reply;
struct sim;

enum endpoint {
    ENDPOINT_CODEPAIR,
    ENDPOINT_TOKEN,
    ENDPOINT_TOKENINFO,
    ENDPOINT_PROFILE,
    ENDPOINT_API,
    ENDPOINT_ANY, /* faults only: any of the above; the person's pages never fail */
    ENDPOINT_PAGES,
    ENDPOINT_ELSEWHERE, /* where a redirect of ours points: nobody should come here */
    ENDPOINT_OTHER,
};

const char *endpoint_name(enum endpoint endpoint);

enum fault_stage {
    FAULT_CLOSE,       /* no work, no answer */
    FAULT_HOLD,        /* no work, no answer, and the connection stays open for a while */
    FAULT_ANSWER,      /* no work, and a made-up answer */
    FAULT_DELAY,       /* a while later, work and the true answer */
    FAULT_CLOSE_AFTER, /* as above, once the work is done */
    FAULT_HOLD_AFTER,
    FAULT_CUT_AFTER, /* half of the true answer */
};

struct fault;

struct fault_kind {
    const char *name;
    enum fault_stage stage;
    void (*answer)(struct sim *sim, const struct fault *fault, const struct request *rq, struct reply *rp);
};

struct fault {
    struct list node;
    const struct fault_kind *kind;
    enum endpoint endpoint;
    char grant_type[24]; /* "" for all */
    uint32_t left;       /* 0 for until cleared */
    uint32_t ms;
    uint32_t status;
    char error[64];
    char description[160];
    char retry_after[48];
    char location[256];
};

struct faults {
    struct list list;
    unsigned n;
};

void faults_init(struct faults *f);
void faults_deinit(struct faults *f);
/* 0; -EINVAL with a reason; -ENOSPC when there are FAULTS_MAX already. */
int faults_add(struct faults *f, const struct form *form, const char **ret_reason) _must_check_;
/* Uses up one fault for this request and copies it. */
bool faults_take(struct faults *f, enum endpoint endpoint, const char *grant_type, struct fault *ret);
struct json_object *faults_to_json(const struct faults *f);

/* The made-up answers (fault-bodies.c). `fault->endpoint` is the endpoint that was really asked. */
void fault_answer_status(struct sim *sim, const struct fault *fault, const struct request *rq,
                         struct reply *rp);
void fault_answer_429(struct sim *sim, const struct fault *fault, const struct request *rq, struct reply *rp);
void fault_answer_html(struct sim *sim, const struct fault *fault, const struct request *rq,
                       struct reply *rp);
void fault_answer_huge(struct sim *sim, const struct fault *fault, const struct request *rq,
                       struct reply *rp);
void fault_answer_nested(struct sim *sim, const struct fault *fault, const struct request *rq,
                         struct reply *rp);
void fault_answer_duplicate_keys(struct sim *sim, const struct fault *fault, const struct request *rq,
                                 struct reply *rp);
void fault_answer_wrong_types(struct sim *sim, const struct fault *fault, const struct request *rq,
                              struct reply *rp);
void fault_answer_empty(struct sim *sim, const struct fault *fault, const struct request *rq,
                        struct reply *rp);
void fault_answer_nul_and_percent(struct sim *sim, const struct fault *fault, const struct request *rq,
                                  struct reply *rp);
void fault_answer_nul(struct sim *sim, const struct fault *fault, const struct request *rq, struct reply *rp);
void fault_answer_long_token(struct sim *sim, const struct fault *fault, const struct request *rq,
                             struct reply *rp);
void fault_answer_redirect(struct sim *sim, const struct fault *fault, const struct request *rq,
                           struct reply *rp);
