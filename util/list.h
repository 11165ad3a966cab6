/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Intrusive doubly linked list. A node that is in no list points to itself, so that removing it twice is
 * harmless; list_init() must have run on every node and head. */

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev;
    struct list *next;
};

#define LIST_ENTRY(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

#define LIST_FOREACH(entry, head, member)                                                                    \
    for (entry = LIST_ENTRY((head)->next, __typeof__(*entry), member); &entry->member != (head);             \
         entry = LIST_ENTRY(entry->member.next, __typeof__(*entry), member))

/* As LIST_FOREACH, and the body may remove (only) the entry it is at. */
#define LIST_FOREACH_SAFE(entry, after, head, member)                                                        \
    for (entry = LIST_ENTRY((head)->next, __typeof__(*entry), member),                                       \
        after = LIST_ENTRY(entry->member.next, __typeof__(*entry), member);                                  \
         &entry->member != (head);                                                                           \
         entry = after, after = LIST_ENTRY(entry->member.next, __typeof__(*entry), member))

static inline void list_init(struct list *node)
{
    node->prev = node;
    node->next = node;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_append(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* Appends all nodes of `from` to `to`, in their order: for walking a list whose nodes the walk may take away.
 */
static inline void list_move_all(struct list *from, struct list *to)
{
    while (!list_is_empty(from)) {
        struct list *node = from->next;
        list_remove(node);
        list_append(to, node);
    }
}
