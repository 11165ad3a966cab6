/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "broker/limits.h"
#include "broker/retention.h"
#include "util/clock.h"

#include <string.h>

#define DAY 86400
#define YEAR (365 * DAY)
#define NOW INT64_C(1798761600) /* 2027 */
#define UNSET 1000              /* 1970: a clock that was not set yet */
#define THIS_BOOT 1
#define N_MAX 8

/* A trail: when each record says it is from, in seconds before now; sequences from 11 on. */
struct line {
    int64_t ago;
    uint64_t epoch;
    int boot;
    int64_t left; /* seconds until a token runs out */
    bool is_unset;
};

struct scene {
    const char *name;
    struct line lines[N_MAX];
    int64_t keep_days, up_to, proven_ago, wall_ahead;
    bool never_proven;
    int64_t target;
    bool is_held;
};

static struct retention_now now_of(const struct scene *scene, int64_t newest)
{
    struct retention_now now = {
        .wall_sec = NOW + scene->wall_ahead,
        .proven_sec = scene->never_proven ? 0 : NOW - scene->proven_ago,
        .boot_usec = 2 * DAY * USEC_PER_SEC,
        .boot_id = {THIS_BOOT},
        .epoch = 9,
        .newest = newest,
        .up_to = scene->up_to,
        .keep_sec = scene->keep_days * DAY,
    };
    return now;
}

static struct retention_record record_of(const struct line *line, int i)
{
    struct retention_record record = {
        .sequence = 11 + i,
        .time_sec = line->is_unset ? UNSET : NOW - line->ago,
        .expires_sec = line->left ? NOW + line->left : 0,
        .boot_usec = (uint64_t)(2 * DAY - line->ago % DAY) * USEC_PER_SEC,
        .boot_id = {(unsigned char)line->boot},
        .epoch = line->epoch,
    };
    return record;
}

static const struct scene scenes[] = {
    {"by age, up to the first that is not",
     {{9 * DAY}, {8 * DAY}, {6 * DAY}, {0}},
     .keep_days = 7,
     .target = 12},
    {"for ever", {{900 * DAY}, {0}}, .target = 0},
    {"one that is not stays before one that is", {{1 * DAY}, {9 * DAY}, {0}}, .keep_days = 7, .target = 0},
    {"by size", {{4 * DAY}, {3 * DAY}, {2 * DAY}, {0}}, .up_to = 12, .target = 12},
    {"what is further of both",
     {{9 * DAY}, {8 * DAY}, {2 * DAY}, {0}},
     .keep_days = 7,
     .up_to = 11,
     .target = 12},
    {"and the other way round",
     {{9 * DAY}, {2 * DAY}, {2 * DAY}, {0}},
     .keep_days = 7,
     .up_to = 13,
     .target = 13},
    {"the newest stays", {{9 * DAY}, {8 * DAY}}, .keep_days = 7, .up_to = 12, .target = 11, .is_held = true},
    {"the present epoch stays",
     {{9 * DAY}, {8 * DAY, .epoch = 8}, {8 * DAY, .epoch = 9}, {0}},
     .keep_days = 7,
     .up_to = 13,
     .target = 12,
     .is_held = true},
    {"the last hour stays", {{2 * DAY}, {3500}, {0}}, .up_to = 12, .target = 11, .is_held = true},
    {"also by the clock that nobody sets, whatever the other one says",
     {{2 * DAY}, {3500, .boot = THIS_BOOT}, {0}},
     .up_to = 12,
     .wall_ahead = 5 * YEAR,
     .target = 11,
     .is_held = true},
    {"a token that is still good stays",
     {{2 * DAY}, {7200, .left = 600}, {0}},
     .up_to = 12,
     .target = 11,
     .is_held = true},
    {"one from a clock of tomorrow is not",
     {{2 * DAY}, {7200, .left = 5 * YEAR}, {0}},
     .up_to = 12,
     .target = 12},
    {"not held: the size asks for no more", {{2 * DAY}, {60}, {0}}, .up_to = 11, .target = 11},

    /* Clocks that are wrong. */
    {"a clock that is far ahead",
     {{30 * DAY}, {20 * DAY}, {2 * DAY}, {0}},
     .keep_days = 25,
     .wall_ahead = 20 * YEAR,
     .target = 11},
    {"no proof that it is right",
     {{30 * DAY}, {20 * DAY}, {0}},
     .keep_days = 7,
     .never_proven = true,
     .target = 0},
    {"an old proof", {{30 * DAY}, {20 * DAY}, {0}}, .keep_days = 7, .proven_ago = 15 * DAY, .target = 11},
    {"a clock that is not set",
     {{30 * DAY}, {2 * DAY}, {0}},
     .keep_days = 7,
     .wall_ahead = UNSET - NOW,
     .target = 11},
    {"nor is the last hour gone then",
     {{2 * DAY}, {600}, {0}},
     .up_to = 12,
     .wall_ahead = UNSET - NOW,
     .target = 11,
     .is_held = true},
    {"records of an unset clock are not old",
     {{.is_unset = true}, {.is_unset = true}, {2 * DAY}, {0}},
     .keep_days = 7,
     .target = 0},
    {"they go with the next one that has a time",
     {{.is_unset = true}, {9 * DAY}, {.is_unset = true}, {2 * DAY}, {0}},
     .keep_days = 7,
     .target = 12},
    {"nor do those of a clock far ahead keep the others",
     {{9 * DAY}, {-5 * YEAR}, {8 * DAY}, {2 * DAY}, {0}},
     .keep_days = 7,
     .target = 13},
};

static void walks(void **state _unused_)
{
    for (size_t i = 0; i < ARRAY_SIZE(scenes); i++) {
        const struct scene *scene = &scenes[i];
        int n = 0;
        while (n < N_MAX - 1 && (scene->lines[n].ago || scene->lines[n].is_unset))
            n++;
        bool ends_now = strstr(scene->name, "newest") == NULL;
        n += ends_now;
        struct retention_now now = now_of(scene, 11 + n - 1);
        struct retention_walk walk;
        retention_walk_begin(&walk, &now);
        for (int at = 0; at < n; at++) {
            struct retention_record record = record_of(&scene->lines[at], at);
            if (!retention_walk_see(&walk, &now, &record))
                break;
        }
        if (retention_walk_target(&walk) != scene->target || walk.is_held != scene->is_held)
            fail_msg("%s: %d, held %d", scene->name, (int)retention_walk_target(&walk), walk.is_held);
    }
}

/* It looks at no more than it has to. */
static void ends_early(void **state _unused_)
{
    const struct scene scene = {.keep_days = 7, .up_to = 0};
    const struct line old = {.ago = 8 * DAY}, in_time = {.ago = 6 * DAY};
    struct retention_now now = now_of(&scene, 1000);
    struct retention_walk walk;
    struct retention_record record = record_of(&old, 0);
    retention_walk_begin(&walk, &now);
    assert_true(retention_walk_see(&walk, &now, &record));
    record = record_of(&in_time, 1);
    assert_false(retention_walk_see(&walk, &now, &record));

    now.keep_sec = 0;
    now.up_to = 11;
    retention_walk_begin(&walk, &now);
    record = record_of(&old, 0);
    assert_true(retention_walk_see(&walk, &now, &record));
    record = record_of(&old, 1);
    assert_false(retention_walk_see(&walk, &now, &record));
    assert_int_equal(retention_walk_target(&walk), 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks),
        cmocka_unit_test(ends_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
