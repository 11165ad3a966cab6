/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asks a person, through polkit's own agent, whether an app may use an account, and has a yes remembered:
 *
 * 1. One check with interaction, of the action consent, or consent.device for an account of the device; with
 *    the sentence of consent-sentence.h, which names all that the token would carry.
 * 2. A plain yes becomes a consent until logout, to every scope among them that is to be asked for. It counts
 *    even if the caller has left meanwhile; what is dropped before the yes is taken back from the screen.
 * 3. A yes that rests on a temporary authorisation is not remembered: polkit may have given it without
 *    showing anybody this question. It is for the caller to use, once.
 * 4. A no is on the trail. */

#include "broker/authorize.h"
#include "broker/consent-sentence.h"
#include "broker/identity.h"

struct account;
struct call;
struct consent_prompt;

struct consent_prompt_answer {
    int r; /* negative: it was a yes, and could not be remembered */
    enum polkit_result result;
    bool is_temporary;
    int64_t account;         /* its row */
    struct scope_set scopes; /* that were agreed to */
};

/* consent, or consent.device: what a person has to be for an answer about the account. */
const char *consent_prompt_action(const struct account *account);
/* The sentence for this app, with its name as the table describes it. Outcomes as consent_sentence_make(). */
int consent_prompt_sentence(struct broker *broker, const struct identity *identity,
                            const struct account *account, struct scope_set scopes, char **ret) _must_check_;

typedef void (*consent_prompt_callback)(const struct consent_prompt_answer *answer, void *userdata);

/* `question` is about all that the token would carry, some of it to be asked for.
 * CONSENT_SENTENCE_E_TOO_LONG: it is more than can be asked. The callback never runs from within this call,
 * and the prompt is gone when it begins. */
int consent_prompt_new(struct call *call, const struct account *account,
                       const struct authorize_question *question, consent_prompt_callback callback,
                       void *userdata, struct consent_prompt **ret) _must_check_;
void consent_prompt_drop(struct consent_prompt *p);
DEFINE_CLEANUP(struct consent_prompt, consent_prompt_drop);
