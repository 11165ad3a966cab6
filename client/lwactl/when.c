/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/when.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* A parser moves *p over what it took and the blanks after it, and leaves it alone when it took nothing. */

#define NUMBER_DIGITS_MAX 9
#define STAMP_DIGITS_MAX 15
#define DAY_SEC 86400

struct day {
    int year, month, day; /* month from 1 */
};

static const char *skip_blanks(const char *p)
{
    return p + strspn(p, " \t");
}

static bool take_word(const char **p, const char *word)
{
    size_t n = strlen(word);
    if (strncasecmp(*p, word, n) != 0 || isalnum((unsigned char)(*p)[n]))
        return false;
    *p = skip_blanks(*p + n);
    return true;
}

/* Up to `most` digits, at least `least`. */
static bool take_digits(const char **p, size_t least, size_t most, int64_t *ret)
{
    size_t n = strspn(*p, "0123456789");
    if (n < least || n > most)
        return false;
    *ret = strtoll(*p, NULL, 10);
    *p += n;
    return true;
}

static bool take_char(const char **p, char c)
{
    if (**p != c)
        return false;
    (*p)++;
    return true;
}

/* --- days and times of the calendar -------------------------------------------------------------------- */

static bool is_before(const struct tm *tm, const struct day *d)
{
    int year = tm->tm_year + 1900, month = tm->tm_mon + 1;
    if (year != d->year)
        return year < d->year;
    return month != d->month ? month < d->month : tm->tm_mday < d->day;
}

static struct tm tm_of(const struct day *d, int second_of_day)
{
    return (struct tm){.tm_year = d->year - 1900,
                       .tm_mon = d->month - 1,
                       .tm_mday = d->day,
                       .tm_hour = second_of_day / 3600,
                       .tm_min = second_of_day / 60 % 60,
                       .tm_sec = second_of_day % 60,
                       .tm_isdst = -1};
}

/* The first second of the day. Searched for, since mktime() may answer for a midnight that does not exist
 * with the evening before. */
static int64_t day_begin(const struct day *d)
{
    struct tm noon = tm_of(d, DAY_SEC / 2);
    int64_t after = mktime(&noon) + DAY_SEC, before = after - (int64_t)3 * DAY_SEC;
    while (after - before > 1) {
        time_t middle = before + (after - before) / 2;
        struct tm tm;
        if (localtime_r(&middle, &tm) && is_before(&tm, d))
            before = middle;
        else
            after = middle;
    }
    return after;
}

static struct day day_of(int64_t sec)
{
    struct tm tm = {0};
    time_t when = sec;
    (void)localtime_r(&when, &tm);
    return (struct day){tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday};
}

/* Any day near enough: mktime() knows how many days a month has. */
static struct day day_move(const struct day *d, int days)
{
    struct tm noon = tm_of(d, DAY_SEC / 2);
    noon.tm_mday += days;
    return day_of(mktime(&noon));
}

/* The day at this time. The clocks may have shown it twice, which the two readings of the hour give; where
 * they skipped it both are about as good. */
static int64_t day_at(const struct day *d, int second_of_day, enum when_edge edge)
{
    int64_t found = -1;
    bool is_exact = false;
    for (int is_dst = -1; is_dst <= 1; is_dst++) {
        struct tm tm = tm_of(d, second_of_day);
        tm.tm_isdst = is_dst;
        int64_t sec = mktime(&tm);
        bool fits = tm.tm_mday == d->day && tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec == second_of_day;
        bool is_wider = edge == WHEN_SINCE ? sec < found : sec > found;
        if (is_dst == -1 || (fits && !is_exact) || (fits == is_exact && is_wider)) {
            found = sec;
            is_exact = fits;
        }
    }
    return found;
}

static int64_t whole_day(const struct day *d, enum when_edge edge)
{
    struct day next = day_move(d, 1);
    return day_begin(edge == WHEN_SINCE ? d : &next);
}

/* --- what people write -----------------------------------------------------------------------------------
 */

static bool take_weekday(const char **p, const struct day *today, struct day *ret)
{
    static const char *const names[] = {"sunday",   "monday", "tuesday", "wednesday",
                                        "thursday", "friday", "saturday"};
    struct tm noon = tm_of(today, DAY_SEC / 2);
    (void)mktime(&noon);
    for (int i = 0; i < 7; i++) {
        char brief[4] = "";
        memcpy(brief, names[i], 3);
        if (take_word(p, names[i]) || take_word(p, brief)) {
            *ret = day_move(today, -((noon.tm_wday - i + 7) % 7));
            return true;
        }
    }
    return false;
}

static bool take_date(const char **p, struct day *ret)
{
    int64_t year, month, day;
    const char *q = *p;
    if (!take_digits(&q, 4, 4, &year) || !take_char(&q, '-') || !take_digits(&q, 1, 2, &month) ||
        !take_char(&q, '-') || !take_digits(&q, 1, 2, &day))
        return false;
    struct day d = {(int)year, (int)month, (int)day};
    struct day same = day_move(&d, 0);
    if (year < 1970 || month < 1 || month > 12 || same.month != d.month || same.day != d.day)
        return false; /* there is no such day */
    bool has_t = (*q == 'T' || *q == 't') && isdigit((unsigned char)q[1]);
    if (*q && !has_t && *q != ' ' && *q != '\t')
        return false;
    *ret = d;
    *p = has_t ? q + 1 : skip_blanks(q);
    return true;
}

static bool take_day(const char **p, int64_t now_sec, struct day *ret)
{
    struct day today = day_of(now_sec);
    if (take_word(p, "today")) {
        *ret = today;
        return true;
    }
    if (take_word(p, "yesterday")) {
        *ret = day_move(&today, -1);
        return true;
    }
    return take_weekday(p, &today, ret) || take_date(p, ret);
}

/* HH:MM[:SS] */
static bool take_time(const char **p, int *ret_second)
{
    int64_t hour, minute, second = 0;
    const char *q = *p;
    if (!take_digits(&q, 1, 2, &hour) || !take_char(&q, ':') || !take_digits(&q, 2, 2, &minute))
        return false;
    if (take_char(&q, ':') && !take_digits(&q, 2, 2, &second))
        return false;
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    *ret_second = (int)(hour * 3600 + minute * 60 + second);
    *p = skip_blanks(q);
    return true;
}

/* Z, +01:00 or -0530. */
static bool take_zone(const char **p, int *ret_offset_sec)
{
    int64_t hour, minute;
    const char *q = *p;
    *ret_offset_sec = 0;
    if (take_char(&q, 'Z') || take_char(&q, 'z')) {
        *p = q;
        return true;
    }
    int sign = *q == '+' ? 1 : -1;
    if (!take_char(&q, '+') && !take_char(&q, '-'))
        return false;
    size_t n = strspn(q, "0123456789");
    if (n == 4) {
        hour = (q[0] - '0') * 10 + (q[1] - '0');
        q += 2;
    } else if (!take_digits(&q, 2, 2, &hour) || !take_char(&q, ':')) {
        return false;
    }
    if (!take_digits(&q, 2, 2, &minute) || hour > 14 || minute > 59)
        return false;
    *ret_offset_sec = sign * (int)(hour * 3600 + minute * 60);
    *p = q;
    return true;
}

/* A day, a time, or both; with both there can be a zone. */
static bool take_calendar(const char **p, int64_t now_sec, enum when_edge edge, int64_t *ret)
{
    struct day day = day_of(now_sec);
    int second, offset;
    bool has_day = take_day(p, now_sec, &day);
    if (!take_time(p, &second)) {
        if (has_day)
            *ret = whole_day(&day, edge);
        return has_day;
    }
    if (has_day && take_zone(p, &offset)) {
        struct tm tm = tm_of(&day, second);
        *ret = timegm(&tm) - offset;
    } else {
        *ret = day_at(&day, second, edge);
    }
    return true;
}

struct unit {
    const char *name;
    int sec, days; /* one of them */
};

static const struct unit *take_unit(const char **p)
{
    static const struct unit units[] = {
        {"s", 1, 0},     {"sec", 1, 0},   {"secs", 1, 0},   {"second", 1, 0},  {"seconds", 1, 0},
        {"m", 60, 0},    {"min", 60, 0},  {"mins", 60, 0},  {"minute", 60, 0}, {"minutes", 60, 0},
        {"h", 3600, 0},  {"hr", 3600, 0}, {"hrs", 3600, 0}, {"hour", 3600, 0}, {"hours", 3600, 0},
        {"d", 0, 1},     {"day", 0, 1},   {"days", 0, 1},   {"w", 0, 7},       {"week", 0, 7},
        {"weeks", 0, 7},
    };
    size_t n = 0;
    while (isalpha((unsigned char)(*p)[n]))
        n++;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (strlen(units[i].name) == n && strncasecmp(*p, units[i].name, n) == 0) {
            *p = skip_blanks(*p + n);
            return &units[i];
        }
    return NULL;
}

/* Days keep the time of day. */
static int64_t days_before(int64_t now_sec, int64_t days)
{
    struct tm tm;
    time_t now = now_sec;
    if (days == 0 || !localtime_r(&now, &tm) || days > now_sec / DAY_SEC)
        return days == 0 ? now_sec : 0;
    tm.tm_mday -= (int)days;
    tm.tm_isdst = -1;
    return mktime(&tm);
}

/* [-]2h 30min [ago] */
static bool take_amount(const char **p, int64_t now_sec, int64_t *ret)
{
    const char *q = *p;
    int64_t sec = 0, days = 0, number;
    bool has_minus = take_char(&q, '-'), has_any = false;
    while (take_digits(&q, 1, NUMBER_DIGITS_MAX, &number)) {
        q = skip_blanks(q);
        const struct unit *unit = take_unit(&q);
        if (!unit)
            return false;
        sec += number * unit->sec;
        days += number * unit->days;
        has_any = true;
    }
    if (!has_any || (take_word(&q, "ago") && has_minus))
        return false;
    *ret = days_before(now_sec, days) - sec;
    *p = q;
    return true;
}

static bool take_stamp(const char **p, int64_t *ret)
{
    const char *q = *p;
    if (!take_char(&q, '@') || !take_digits(&q, 1, STAMP_DIGITS_MAX, ret))
        return false;
    *p = q;
    return true;
}

int when_parse(const char *text, int64_t now_sec, enum when_edge edge, int64_t *ret_sec)
{
    const char *p = skip_blanks(text);
    int64_t found = now_sec;
    bool is_known = take_word(&p, "now") || take_stamp(&p, &found) ||
                    take_calendar(&p, now_sec, edge, &found) || take_amount(&p, now_sec, &found);
    if (!is_known || *skip_blanks(p))
        return WHEN_E_UNKNOWN;
    *ret_sec = found > 0 ? found : 0;
    return 0;
}
