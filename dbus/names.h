/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The names of the bus contract. The members, their signatures and their meaning stand in the
 * XML files of this folder, which are the source of truth. */

#define LWA_BUS_NAME "org.lwabroker.Broker1"
#define LWA_OBJECT_PATH "/org/lwabroker/Broker1"
#define LWA_LOGIN_PATH_PREFIX LWA_OBJECT_PATH "/login/"

#define LWA_INTERFACE_BROKER "org.lwabroker.Broker1"
#define LWA_INTERFACE_LOGIN "org.lwabroker.Login1"
#define LWA_INTERFACE_LOGIN_REQUEST "org.lwabroker.Login1.Request"
#define LWA_INTERFACE_ACCOUNTS "org.lwabroker.Accounts1"
#define LWA_INTERFACE_AUDIT "org.lwabroker.Audit1"
#define LWA_INTERFACE_KEYS "org.lwabroker.Keys1"
#define LWA_INTERFACE_POLICY "org.lwabroker.Policy1"
#define LWA_INTERFACE_STATUS "org.lwabroker.Status1"
#define LWA_ERROR_PREFIX "org.lwabroker.Error."

#define LWA_SCOPES_PER_CALL_MAX 32
#define LWA_ACCOUNT_ID_BYTES_MAX 32
#define LWA_LABEL_BYTES_MAX 128
