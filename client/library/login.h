/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One login request at the broker, from Begin to Finished.
 *
 *   1. Begin makes a request object of ours; it dies with our connection.
 *   2. Its properties bring what to show; they are asked for once, and then followed by PropertiesChanged. A
 *      value is only replaced by a newer one, as told by the numbers that the broker's connection gives its
 *      messages: a reply can be handled before or after a signal that came with it.
 *   3. Where Amazon sends a browser back, what it brings is handed in with Complete. If the broker does not
 *      take it, the login stays open, and another can be handed in.
 *   4. Finished brings the outcome. Who cancels still waits for it: the login may have been linked at that
 *      moment.
 *   5. If the broker or the bus goes, the login is lost: its outcome is the library's own word for it.
 *
 * Invariants: only what the connection that answered Begin sends is believed, since anyone on the bus can
 * send us a signal with this path and interface, and with it a code of his own to be typed in. A login at the
 * broker that nobody here follows any more is ended (login_handle_signal()). A callback of the app's is the
 * last thing that a function does, as it may free any other login.
 *
 *   login            the object, its options, what it tells
 *   login-begin      steps 1 and 2: the calls
 *   login-complete   steps 3 and 4: the calls
 *   login-follow     what the broker sends, and that it goes
 *   login-values     what is in that
 *   login-token      the token of an import */

#include "client/library/call.h"
#include "util/strv.h"

#include <stdint.h>

/* "lost", beside the outcomes of the contract. */
#define LOGIN_OUTCOME_LOST "lost"

enum login_phase {
    LOGIN_NEW,       /* not begun, or Begin failed */
    LOGIN_BEGINNING, /* Begin is on its way */
    LOGIN_OPEN,
    LOGIN_OVER, /* the broker has forgotten it */
};

enum login_option {
    LOGIN_OPTION_ACCOUNT,
    LOGIN_OPTION_LABEL,
    LOGIN_OPTION_LOCALE,
    LOGIN_OPTION_OWNER,
    LOGIN_OPTION_REDIRECT_URI,
    LOGIN_OPTION_SCOPE_DATA,
    LOGIN_OPTION_COUNT
};

enum login_text {
    LOGIN_TEXT_STATE,
    LOGIN_TEXT_USER_CODE,
    LOGIN_TEXT_VERIFICATION_URI,
    LOGIN_TEXT_AUTHORIZE_URI,
    LOGIN_TEXT_NOTICE,
    LOGIN_TEXT_OUTCOME,
    LOGIN_TEXT_ACCOUNT,
    LOGIN_TEXT_SCOPE,
    LOGIN_TEXT_REFUSED_SCOPE,
    LOGIN_TEXT_REASON,
    LOGIN_TEXT_MESSAGE,
    LOGIN_TEXT_ERROR_NAME,
    LOGIN_TEXT_COUNT
};

/* `serial` is of the message that brought it; 0: none has. */
struct login_values {
    char *texts[LOGIN_TEXT_COUNT]; /* NULL is "" */
    dbus_uint32_t serials[LOGIN_TEXT_COUNT];
    uint64_t expires_at_sec;
    dbus_uint32_t expires_at_serial;
};

struct lwa_login {
    struct lwa_client *client;
    struct list in_client;
    enum login_phase phase;
    unsigned epoch; /* of the client, in which it was begun */
    bool is_lost;
    struct lwa_error why; /* it is lost, or the last Begin failed; code 0 if neither */
    bool is_cancelled;
    char *flow;
    struct strv scopes;
    char *options[LOGIN_OPTION_COUNT];
    int token_fd; /* -1: none */
    char *broker; /* the unique name of the connection that answered Begin */
    char *path;
    struct lwa_request *begin; /* NULL: none is on its way */
    struct lwa_request *fetch; /* the same, of GetAll */
    struct login_values values;
    lwa_login_fn change_fn;
    void *change_userdata;
};

/* 0, or noted: the handle is of before a fork, or the login has begun already. */
int login_check_new(struct lwa_login *login) _must_check_;
/* As Begin has it. */
const char *login_option_name(enum login_option option);
/* Asks for all properties; the answer comes with a dispatch. */
int login_fetch(struct lwa_login *login) _must_check_;
/* Ends the request object of this path, without waiting. 0 or noted. */
int login_send_cancel(struct lwa_client *client, const char *path);
/* Tells the app; the last thing to do. */
void login_notify(struct lwa_login *login);
/* The login cannot be followed any more, for the reason that stands in the handle's error. Tells the app; the
 * last thing to do. */
void login_lose(struct lwa_login *login);

/* --- login-values --- */

void login_values_clear(struct login_values *values);
/* 1 if anything is another now, 0 if not; -ENOMEM. The properties of an a{sv}, of a message with this serial.
 */
int login_values_take_properties(struct login_values *values, DBusMessageIter *dict,
                                 dbus_uint32_t serial) _must_check_;
/* The outcome and the details of Finished, whose signature has been checked. 0 or -ENOMEM. */
int login_values_take_finished(struct login_values *values, DBusMessage *m) _must_check_;
int login_values_set(struct login_values *values, enum login_text text, const char *value) _must_check_;
const char *login_values_get(const struct login_values *values, enum login_text text);

/* --- login-token --- */

/* 1 to this many bytes of printable ASCII. */
#define LOGIN_TOKEN_BYTES_MAX 2048
bool login_token_is_valid(const char *bytes, size_t n_bytes);
/* A memory file with these bytes, sealed against every change. 0 or a negative errno. */
int login_token_seal(const char *bytes, size_t n_bytes, int *ret_fd) _must_check_;
